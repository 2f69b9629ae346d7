from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedding_service import recipe
from embedding_service.errors import ModelError
from tests.unit.service.tiny_model import SPACE, write_model, write_recipe

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_FILE = {"repository": "owner/model", "commit": COMMIT, "path": "onnx/model.onnx", "size": 3}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def test_a_recipe_is_read_whole(model: Path) -> None:
    read = recipe.read(model)
    assert read.model_dump(exclude={"files"}) == {
        "name": "tiny",
        "dimension": 6,
        "max_tokens": 8,
        "pooling": "mean",
        "normalize": True,
        "prompts": {"query": "query: "},
        "default_prompt": None,
        "vector_space": SPACE,
        "precision": "float32",
        "format": "onnx",
        "dense_layers": False,
        "inputs": ["text"],
        "matryoshka": None,
        "licence": None,
        "citation": None,
        "source": None,
        "sources": {},
    }
    assert set(read.files) == {"model.onnx", "tokenizer.json"}
    assert read.prefix == ""


def test_a_recipe_may_claim_dense_layers(model: Path) -> None:
    write_recipe(model, dense_layers=True)
    assert recipe.read(model).dense_layers is True


def test_a_recipe_may_say_whose_the_model_is_and_where_its_files_are(model: Path) -> None:
    write_recipe(
        model,
        licence="MIT",
        citation="A. Author, A Model, 2026",
        source=f"hub:owner/model@{COMMIT}",
        sources={"model.onnx": HUB_FILE},
    )
    read = recipe.read(model)
    assert (read.licence, read.citation) == ("MIT", "A. Author, A Model, 2026")
    assert read.sources["model.onnx"].model_dump() == HUB_FILE


def test_the_default_prompt_is_the_prefix(model: Path) -> None:
    write_recipe(model, default_prompt="query")
    assert recipe.read(model).prefix == "query: "


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dimenson": 6}, "dimenson: Extra inputs are not permitted"),
        ({"dimension": "6"}, "dimension: Input should be a valid integer"),
        ({"dimension": 0}, "dimension: Input should be greater than 0"),
        ({"pooling": "max"}, "pooling: Input should be 'mean', 'cls' or 'model'"),
        ({"default_prompt": "search"}, "default_prompt 'search' is not one of the prompts"),
        ({"vector_space": "sha256:5"}, "vector_space: String should match pattern"),
        ({"dense_layers": 1}, "dense_layers: Input should be a valid boolean"),
        ({"format": "torch"}, "format: Input should be"),
        ({"files": {"model.onnx": "0"}}, "files.model.onnx: String should match pattern"),
        ({"files": {"../model.onnx": "0" * 64}}, "'../model.onnx' is not a plain relative path"),
        ({"files": {"/model.onnx": "0" * 64}}, "'/model.onnx' is not a plain relative path"),
        ({"licence": ""}, "licence: String should have at least 1 character"),
        ({"sources": {"a": HUB_FILE}}, "document: Value error, sources names a, which files does"),
        (
            {"sources": {"model.onnx": HUB_FILE | {"path": "../a"}}},
            "sources.model.onnx.path: Value error, '../a' is not a plain relative path",
        ),
        (
            {"sources": {"model.onnx": HUB_FILE | {"commit": "main"}}},
            "sources.model.onnx.commit: String should match pattern",
        ),
        (
            {"matryoshka": {"layer_norm": True, "spaces": {"6": SPACE}}},
            "document: Value error, no vector of 6 numbers is cut to '6'",
        ),
        (
            {"matryoshka": {"layer_norm": True, "spaces": {"few": SPACE}}},
            "document: Value error, no vector of 6 numbers is cut to 'few'",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_key(
    model: Path, changes: dict[str, Any], problem: str
) -> None:
    write_recipe(model, **changes)
    with pytest.raises(ModelError) as refusal:
        recipe.read(model)
    assert problem in str(refusal.value)
    assert f"{model}/model.json is not a recipe" in str(refusal.value)


def test_a_missing_key_is_refused(model: Path) -> None:
    path = model / "model.json"
    written = json.loads(path.read_text())
    del written["pooling"]
    path.write_text(json.dumps(written))
    with pytest.raises(ModelError, match="pooling: Field required"):
        recipe.read(model)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_what_is_no_json_object_is_refused(model: Path, text: str) -> None:
    (model / "model.json").write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match="is not a recipe"):
        recipe.read(model)


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model.json cannot be read: No such file"):
        recipe.read(tmp_path)


def test_the_files_of_the_recipe_are_verified(model: Path) -> None:
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text("{}")
    (model / "2_Normalize").mkdir()
    write_recipe(model)
    recipe.verify(model, recipe.read(model))


def test_a_file_too_few_is_named(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"lacks tokenizer\.json"):
        recipe.verify(model, recipe.read(model))


@pytest.mark.parametrize("name", ["extra.py", "1_Pooling/config.json"])
def test_a_file_too_many_is_named(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).touch()
    with pytest.raises(ModelError, match=f"holds {name}, not named"):
        recipe.verify(model, recipe.read(model))


def test_a_linked_directory_is_a_file_too_many(model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (model / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="holds linked, not named"):
        recipe.verify(model, recipe.read(model))


def test_an_altered_file_is_named_with_both_digests(model: Path) -> None:
    content = bytearray((model / "model.onnx").read_bytes())
    content[-1] ^= 1
    (model / "model.onnx").write_bytes(content)
    declared = recipe.read(model).files["model.onnx"]
    with pytest.raises(ModelError, match=rf"model\.onnx is altered: .* says {declared}"):
        recipe.verify(model, recipe.read(model))
