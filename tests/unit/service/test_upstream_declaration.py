"""What the operator declares of upstreams, and what is made of it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from embedding_service import contract, matryoshka, providers
from embedding_service.errors import ModelError, SettingsError
from embedding_service.settings import Settings, entries
from embedding_service.upstreams import backend, declared
from embedding_service.upstreams.declaration import (
    DeclaredSpace,
    DeclaredUpstream,
    declared_spaces,
)
from embedding_service.upstreams.settings import UpstreamSettings
from tests.unit.service.service_process import ROOT
from tests.unit.service.tiny_model import write_model, write_recipe
from tests.unit.service.upstream_api import KEY

SIGLIP: dict[str, Any] = {
    "vector_space": "sha256:" + "5" * 64,
    "model": "siglip2-base-patch16-224",
    "dimension": 768,
    "upstreams": [{"url": "http://siglip-a:8080/v1"}, {"url": "http://siglip-b:8080/v1"}],
}
NOMIC: dict[str, Any] = {
    "vector_space": "sha256:" + "6" * 64,
    "model": "nomic-embed-text-v1.5",
    "dimension": 768,
    "precision": "q8_0",
    "prompts": {"query": "search_query: ", "document": "search_document: "},
    "default_prompt": "document",
    "max_tokens": 2048,
    "upstreams": [{"url": "http://nomic:8080/v1"}],
}
API: dict[str, Any] = {
    "vector_space": "declared:text-embedding-3-small",
    "model": "text-embedding-3-small",
    "dimension": 1536,
    "upstreams": [{"url": "https://api.example/v1", "key_file": "/run/secrets/key"}],
    "matryoshka": {"layer_norm": False, "spaces": {"512": "declared:text-embedding-3-small@512"}},
    "licence": "LicenseRef-OpenAI",
}
LIST = [SIGLIP, NOMIC, API]
SINGLE = {
    "EMBEDDING_PROVIDER": "openai",
    "EMBEDDING_OPENAI_BASE_URL": "https://api.example/v1",
    "EMBEDDING_OPENAI_VECTOR_SPACE": "declared:text-embedding-3-small",
    "EMBEDDING_MODEL": "text-embedding-3-small",
    "EMBEDDING_DIMENSIONS": "1536",
}


def settings(**variables: str) -> Settings:
    return Settings.from_environment(
        {"EMBEDDING_PROVIDER": "openai", "EMBEDDING_UPSTREAMS": json.dumps(LIST)} | variables
    )


def test_a_list_is_what_may_be_served_in_its_order() -> None:
    found = providers.provided(settings())
    assert [each.recipe.name for each in found] == [
        "siglip2-base-patch16-224",
        "nomic-embed-text-v1.5",
        "text-embedding-3-small",
    ]
    for each, space in zip(found, declared_spaces(LIST), strict=True):
        assert each.backend is backend.Backend
        assert each.settings == dataclasses.replace(settings(), upstreams=(space,))


def test_a_declaration_is_a_recipe() -> None:
    recipe = providers.provided(settings())[1].recipe
    assert recipe.format == "openai"
    assert recipe.vector_space == NOMIC["vector_space"]
    assert recipe.dimension == 768
    assert recipe.precision == "q8_0"
    assert recipe.prefix == "search_document: "
    assert recipe.inputs == ["text"]
    assert recipe.normalize


def test_vectors_may_be_shortened_where_that_is_declared() -> None:
    recipe = providers.provided(settings())[2].recipe
    assert matryoshka.dimensions(recipe) == [1536, 512]
    assert matryoshka.space(recipe, 512) == "declared:text-embedding-3-small@512"
    assert recipe.licence == "LicenseRef-OpenAI"


def test_a_model_may_be_chosen_by_its_name() -> None:
    (found,) = providers.provided(settings(EMBEDDING_MODEL="nomic-embed-text-v1.5"))
    assert found.recipe.vector_space == NOMIC["vector_space"]
    with pytest.raises(ModelError, match="no upstream serves 'gemma'; there are: nomic"):
        providers.provided(settings(EMBEDDING_MODEL="gemma"))


def test_the_list_may_be_in_the_configuration_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"provider": "openai", "upstreams": LIST}))
    assert Settings.from_environment({"EMBEDDING_CONFIG_FILE": str(path)}).upstreams == (
        settings().upstreams
    )


def test_no_request_says_who_is_asked() -> None:
    """It would say which files and variables are read, and where what they hold is sent."""
    for name in ("provider", "upstreams", "openai_base_url", "openai_api_key"):
        with pytest.raises(SettingsError, match=f"{name} is not changed"):
            settings().changed({name: LIST}, by="request", where="request")


def test_variables_say_one_upstream() -> None:
    said = {name: API[name] for name in ("vector_space", "model", "dimension")}
    upstreams = [{"url": "https://api.example/v1", "model": API["model"]}]
    assert declared.spaces(Settings.from_environment(SINGLE)) == list(
        declared_spaces([said | {"upstreams": upstreams}])
    )


@pytest.mark.parametrize(
    "name", ["EMBEDDING_OPENAI_VECTOR_SPACE", "EMBEDDING_MODEL", "EMBEDDING_DIMENSIONS"]
)
def test_each_of_them_is_needed(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not set|{name} are not set"):
        providers.provided(Settings.from_environment(SINGLE | {name: ""}))


def test_an_address_is_needed() -> None:
    with pytest.raises(SettingsError, match="EMBEDDING_OPENAI_BASE_URL is not set"):
        providers.provided(Settings.from_environment(SINGLE | {"EMBEDDING_OPENAI_BASE_URL": ""}))


def test_two_ways_to_say_it_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match="both say who is asked"):
        providers.provided(settings(EMBEDDING_OPENAI_BASE_URL="https://api.example/v1"))


def test_the_local_provider_takes_the_model_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "backend_class", lambda: backend.Backend)
    write_model(tmp_path)
    (found,) = providers.provided(
        settings(EMBEDDING_PROVIDER="local", EMBEDDING_MODEL_DIR=str(tmp_path))
    )
    assert found.recipe.name == "tiny"
    write_recipe(tmp_path, vector_space="declared:mine")
    (found,) = providers.provided(Settings(model_dir=tmp_path))
    assert found.recipe.vector_space == "declared:mine"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "at least 1 item"),
        ({}, "tuple"),
        ([SIGLIP | {"upstreams": []}], "0.upstreams: Tuple should have at least 1 item"),
        ([SIGLIP, SIGLIP | {"model": "b"}], "declared twice: name its upstreams together"),
        ([SIGLIP | {"vector_space": "mine"}], "0.vector_space: String should match pattern"),
        ([SIGLIP | {"vector_space": "declared:"}], "0.vector_space"),
        ([SIGLIP | {"vector_space": "declared:a\nb"}], "0.vector_space"),
        ([SIGLIP | {"dimension": "768"}], "0.dimension"),
        ([SIGLIP | {"dimension": 0}], "0.dimension"),
        ([SIGLIP | {"key": "x"}], "0.key: Extra inputs are not permitted"),
        ([SIGLIP | {"default_prompt": "query"}], "default_prompt 'query' is not one of"),
        ([SIGLIP | {"upstreams": [{"url": "http://a"}, {"url": "http://a/"}]}], "named twice"),
        (
            [SIGLIP | {"matryoshka": {"layer_norm": False, "spaces": {"768": "declared:a"}}}],
            "no vector of 768 numbers is cut to '768'",
        ),
        ([SIGLIP | {"upstreams": [{"url": "a"}]}], "0.upstreams.0.url: Value error, it must be an"),
        (
            [SIGLIP | {"upstreams": [{"url": "http://a", "key_file": "k", "key_variable": "K"}]}],
            "key_file and key_variable are both set",
        ),
        (
            [SIGLIP | {"upstreams": [{"url": f"http://me:{KEY}@a"}]}],
            "a user's name or password",
        ),
        ([SIGLIP | {"upstreams": [{"url": "http://a", "key": KEY}]}], "0.upstreams.0.key: Extra"),
    ],
)
def test_a_declaration_that_cannot_be_used(content: object, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        Settings.from_environment({"EMBEDDING_UPSTREAMS": json.dumps(content)})
    assert str(caught.value).startswith("EMBEDDING_UPSTREAMS cannot be used: ")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("text", ["[", "[" * 100_000, "http://a"])
def test_a_declaration_that_is_no_json(text: str) -> None:
    with pytest.raises(SettingsError, match="EMBEDDING_UPSTREAMS cannot be used: it is no JSON"):
        Settings.from_environment({"EMBEDDING_UPSTREAMS": text})


def test_the_documented_list_is_one() -> None:
    text = (ROOT / "docs/openai.md").read_text(encoding="utf-8")
    (content,) = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [space.model for space in declared_spaces(json.loads(content))] == [
        "siglip2-base-patch16-224",
        "nomic-embed-text-v1.5",
        "text-embedding-3-small",
    ]


def test_every_key_of_a_declaration_is_documented() -> None:
    text = (ROOT / "docs/openai.md").read_text(encoding="utf-8")
    for name in (*DeclaredSpace.model_fields, *DeclaredUpstream.model_fields):
        assert f"`{name}`" in text, name
    for setting in UpstreamSettings.__dataclass_fields__:
        assert entries()[setting].variable in text, setting
