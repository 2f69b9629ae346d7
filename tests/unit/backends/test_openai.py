"""The openai backend behind the real service, asking a small server of the tests' own.

How upstreams are asked, and which of several, is shown in tests/unit/service/test_upstreams.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from embedding_service.errors import ModelError, SettingsError
from embedding_service.inputs import Text
from embedding_service.settings import Settings
from tests.unit.backends import backend_module
from tests.unit.service.service_process import ROOT, run, started
from tests.unit.service.tiny_model import SPACE, write_recipe
from tests.unit.service.upstream_api import (
    KEY,
    UNIT,
    Api,
    Reply,
    encoded,
    listed,
    problem,
    serving,
    unit32,
)

BACKEND = ROOT / "images/openai"
WAIT = 30


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as made:
        yield made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "upstream.json").write_text('{"model": "upstream-model"}')
    write_recipe(directory, format="openai")
    return directory


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    return backend_module.load("openai")


Load = Callable[..., Any]


@pytest.fixture
def load(
    backend: ModuleType, model: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Load]:
    """Load the backend with settings of the environment."""
    loaded: list[Any] = []

    def made(**environment: str) -> Any:
        chosen = {"BASE_URL": api.url, "TIMEOUT": "2", **environment}
        variables = {f"EMBEDDING_OPENAI_{name}": value for name, value in chosen.items()}
        loaded.append(backend.Backend.load(model, Settings.from_environment(variables)))
        return loaded[-1]

    yield made
    for each in loaded:
        each.close()


def embed(backend: Any, *texts: str) -> Any:
    return backend.embed([Text(content=text, ids=()) for text in texts]).tolist()


def test_texts_are_sent_as_they_are_by_the_name_that_the_api_knows(load: Load, api: Api) -> None:
    assert embed(load(API_KEY=KEY), "a", " Ça\n") == [unit32()] * 2
    (asked,) = api.asked
    assert asked.path == "/v1/embeddings"
    assert asked.content["model"] == "upstream-model"
    assert asked.texts[:2] == ["a", " Ça\n"]
    assert asked.headers["Authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_is_sent(load: Load, api: Api) -> None:
    embed(load(), "a")
    assert "Authorization" not in api.asked[0].headers


def test_a_key_may_be_in_a_file(load: Load, api: Api, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    embed(load(API_KEY_FILE=str(tmp_path / "key")), "a")
    assert api.asked[0].headers["Authorization"] == f"Bearer {KEY}"


def test_several_addresses_replace_each_other(load: Load, api: Api) -> None:
    with serving() as second:
        api.answer = lambda _: problem(401)
        backend = load(BASE_URL=f"{api.url} {second.url}", API_KEY=KEY)
        assert embed(backend, "a") == [unit32()]
        assert [asked.headers["Authorization"] for asked in (*api.asked, *second.asked)] == [
            f"Bearer {KEY}"
        ] * 2
        assert backend.runtime == {
            "upstreams": f"{api.url} (upstream-model), {second.url} (upstream-model)",
            "answering": second.url,
        }


def test_the_recipe_says_what_the_vectors_are(load: Load, model: Path, api: Api) -> None:
    write_recipe(model, format="openai", normalize=False, dimension=2)
    api.vector = lambda _: [3.0, 4.0]
    assert embed(load(), "a") == [[3.0, 4.0]]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"BASE_URL": ""}, "EMBEDDING_OPENAI_BASE_URL is not set"),
        ({"BASE_URL": "api.example"}, "must be an address"),
        ({"BASE_URL": "ftp://api.example"}, "must be an address"),
        ({"BASE_URL": "https://api.example:x"}, "must be an address"),
        ({"BASE_URL": "https:///v1"}, "must be an address"),
        ({"BASE_URL": "https://api.example/v1?key=x"}, "must be an address"),
        ({"BASE_URL": f"https://me:{KEY}@api.example/v1"}, "a user's name or password"),
        ({"BASE_URL": "https://api.example/v1 https://api.example/v1/"}, "named twice"),
        ({"API_KEY": f"{KEY} more"}, "EMBEDDING_OPENAI_API_KEY holds what no key has"),
        ({"API_KEY": f"{KEY}\r\nHost: x"}, "EMBEDDING_OPENAI_API_KEY cannot be used"),
        ({"API_KEY": f"{KEY}é"}, "EMBEDDING_OPENAI_API_KEY holds what no key has"),
        ({"API_KEY": KEY, "API_KEY_FILE": "/x"}, "are both set"),
        ({"API_KEY_FILE": "/not/there"}, "/not/there cannot be read"),
        ({"API_KEY_FILE": os.devnull}, "is empty"),
        ({"TIMEOUT": "0"}, "EMBEDDING_OPENAI_TIMEOUT is '0'"),
        ({"TIMEOUT": "nan"}, "EMBEDDING_OPENAI_TIMEOUT is 'nan'"),
    ],
)
def test_settings_that_cannot_be_used(load: Load, environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        load(**environment)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 1}', '{"model": ""}', '{"a": "b"}'])
def test_a_model_without_its_name_is_refused(load: Load, model: Path, content: str) -> None:
    (model / "upstream.json").write_text(content)
    with pytest.raises(ModelError, match=r"upstream\.json"):
        load()


def test_another_format_is_refused(load: Load, model: Path) -> None:
    write_recipe(model, format="onnx")
    with pytest.raises(ModelError, match="openai takes models in the format openai, not onnx"):
        load()


def test_the_service_embeds_and_its_log_holds_no_key(api: Api, model: Path, tmp_path: Path) -> None:
    settings = {
        "EMBEDDING_OPENAI_BASE_URL": api.url,
        "EMBEDDING_OPENAI_API_KEY": KEY,
        "EMBEDDING_OPENAI_TIMEOUT": "1",
        "EMBEDDING_LOG_FORMAT": "text",
    }
    write_recipe(model, format="openai", prompts={"query": "query: "}, default_prompt="query")
    with started(tmp_path, model, BACKEND, **settings) as service:
        service.wait_for_health("healthy")
        answer = service.embed("the fish")
        assert answer.status == 200
        assert np.array(answer.content["embedding"], np.float32).tolist() == unit32()
        assert answer.headers["equivec-vector-space"] == SPACE
        assert api.asked[-1].texts == ["query: the fish"]
        api.replies = [problem(422, "text_too_long")]
        assert service.embed("the text").status == 422
        api.replies = [problem(401, KEY)]
        refused = service.embed("the text")
        assert refused.status == 503
        assert refused.content["error"]["message"] == f"{api.url} refuses the API key (401)"
        assert int(refused.headers["retry-after"]) >= 1
        assert service.embed("the fish").status == 200
        api.answer = lambda _: problem(429, Retry_After="100")
        overloaded = service.embed("the text")
        assert overloaded.status == 503
        assert overloaded.content["error"]["code"] == "upstream_failed"
        assert 90 <= int(overloaded.headers["retry-after"]) <= 100
        health = service.ask("GET", "/health").content
        assert health["runtime"] == {
            "upstreams": f"{api.url} (upstream-model)",
            "answering": api.url,
        }
    log = service.log.read_text()
    assert f"the API key is sent to 127.0.0.1:{api.port} unencrypted" in log
    assert "refuses the API key" in log
    assert KEY not in log
    assert "the text" not in log


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (listed(encoded(UNIT[:5]), encoded(UNIT[:5])), "makes vectors of 5 numbers"),
        (listed([0.0, 3.0, 0.0, 4.0, 0.0, 0.0], UNIT), "a vector of length 5"),
        (problem(401), "refuses the API key"),
    ],
)
def test_a_wrong_api_is_never_served(
    api: Api, model: Path, tmp_path: Path, reply: Reply, said: str
) -> None:
    api.answer = lambda _: reply
    settings = {"EMBEDDING_OPENAI_BASE_URL": api.url}
    with started(tmp_path, model, BACKEND, **settings) as service:
        assert service.process.wait(WAIT) == ModelError.exit_code
    assert said in service.log.read_text()


def test_without_an_address_the_service_says_so(model: Path) -> None:
    ended = run("embedding_service", model=model, backend=BACKEND)
    assert ended.returncode == SettingsError.exit_code
    assert "EMBEDDING_OPENAI_BASE_URL is not set" in ended.stderr


def test_the_backend_needs_no_library_but_numpy(backend: ModuleType) -> None:
    assert backend.Backend.name == "openai"
    assert backend.Backend.libraries == ("numpy",)
    script = (
        "import backend, sys; print(*sorted({'openai', 'httpx', 'requests'} & set(sys.modules)))"
    )
    path = os.pathsep.join(str(ROOT / "images" / part) for part in ("service", "openai"))
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == []
