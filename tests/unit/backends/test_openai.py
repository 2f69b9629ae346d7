"""The openai backend behind the real service, asking a small server of the tests' own."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from embedding_service.errors import EmbeddingError, InputError, ModelError, SettingsError
from embedding_service.settings import Settings
from tests.unit.service.service_process import ROOT, free_port, run, started
from tests.unit.service.tiny_model import write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})
BACKEND = ROOT / "images/openai"
KEY = "sk-very-secret-123"
UNIT = [0.0, 0.6, 0.0, 0.8, 0.0, 0.0]
WAIT = 30

Reply = tuple[int, Mapping[str, str], bytes]


def listed(numbers: object) -> Reply:
    item = {"object": "embedding", "index": 0, "embedding": numbers}
    return 200, {}, json.dumps({"object": "list", "data": [item], "model": "m"}).encode()


def encoded(numbers: list[float]) -> Reply:
    return listed(base64.b64encode(np.array(numbers, "<f4").tobytes()).decode())


def problem(status: int, code: str | None = None, **headers: str) -> Reply:
    content = {"error": {"message": "not for the log: the text", "type": "x", "code": code}}
    return (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        json.dumps(content).encode(),
    )


@dataclass
class Api:
    """What the server answers, in turn (the last one again and again), and what it was asked."""

    port: int
    replies: list[Reply] = field(default_factory=lambda: [encoded(UNIT)])
    asked: list[tuple[str, Mapping[str, str], dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def serving(port: int) -> tuple[Api, ThreadingHTTPServer]:
    api = Api(port=port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            api.asked.append((self.path, dict(self.headers), body))
            status, headers, content = api.next()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    api.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    return api, server


@pytest.fixture
def api() -> Iterator[Api]:
    made, server = serving(0)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "upstream.json").write_text('{"model": "upstream-model"}')
    write_recipe(directory, format="openai")
    return directory


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    """Load the file by its path: every backend's module has the same name."""
    spec = spec_from_file_location("openai_backend", BACKEND / "backend.py")
    assert spec
    assert spec.loader
    module = sys.modules["openai_backend"] = module_from_spec(spec)  # its dataclass looks there
    spec.loader.exec_module(module)
    return module


Load = Callable[..., Any]


@pytest.fixture
def load(backend: ModuleType, model: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load the backend with an environment; an answer is waited for two seconds."""

    def loaded(**environment: str) -> Any:
        for name in [name for name in os.environ if name.startswith("EMBEDDING_OPENAI_")]:
            monkeypatch.delenv(name)
        chosen = {"BASE_URL": api.url, "TIMEOUT": "2", **environment}
        for name, value in chosen.items():
            monkeypatch.setenv(f"EMBEDDING_OPENAI_{name}", value)
        return backend.Backend.load(model, SETTINGS)

    return loaded


def test_a_text_is_sent_as_it_is_and_its_vector_taken_as_it_comes(load: Load, api: Api) -> None:
    vectors = load(API_KEY=KEY).embed(["a", " Ça\n"])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [np.array(UNIT, np.float32).tolist()] * 2
    assert [body for _, _, body in api.asked] == [
        {"model": "upstream-model", "input": text, "encoding_format": "base64"}
        for text in ("a", " Ça\n")
    ]
    path, headers, _ = api.asked[0]
    assert path == "/v1/embeddings"
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_is_sent(load: Load, api: Api) -> None:
    load().embed(["a"])
    assert "Authorization" not in api.asked[0][1]


def test_a_key_may_be_in_a_file(load: Load, api: Api, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    load(API_KEY_FILE=str(tmp_path / "key")).embed(["a"])
    assert api.asked[0][1]["Authorization"] == f"Bearer {KEY}"


def test_an_api_that_knows_no_base64_is_understood(load: Load, api: Api) -> None:
    api.replies = [listed(UNIT)]
    assert load().embed(["a"]).tolist() == [np.array(UNIT, np.float32).tolist()]


@pytest.mark.parametrize(
    "first",
    [
        problem(429, "rate_limit_exceeded", Retry_After="0"),
        problem(429, "rate_limit_exceeded"),
        problem(503, "not_ready", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
        (500, {}, b""),
    ],
)
def test_what_may_pass_is_asked_again(load: Load, api: Api, first: Reply) -> None:
    api.replies = [first, encoded(UNIT)]
    assert load().embed(["a"]).shape == (1, 6)
    assert len(api.asked) == 2


def test_an_api_that_is_not_there_yet_is_waited_for(load: Load) -> None:
    port = free_port()
    loaded = load(BASE_URL=f"http://127.0.0.1:{port}/v1", TIMEOUT="20")
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(loaded.embed(["a"])))
    asking.start()
    time.sleep(0.4)
    api, server = serving(port)
    asking.join(WAIT)
    server.shutdown()
    server.server_close()
    assert len(found) == 1
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (problem(429, "insufficient_quota", Retry_After="60"), "429 insufficient_quota"),
        (problem(503), r"503 x$"),
        (problem(502, "a text; with more"), r"attempt: 502$"),
    ],
)
def test_it_is_given_up_when_the_time_is_over(
    load: Load, api: Api, reply: Reply, said: str
) -> None:
    api.replies = [reply]
    with pytest.raises(
        EmbeddingError, match=r"gives no answer within 2 s; the last attempt: "
    ) as e:
        load().embed(["the text"])
    assert re.search(said, str(e.value))
    assert "the text" not in str(e.value)


def test_an_api_that_hangs_is_given_up(load: Load) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        loaded = load(BASE_URL=f"http://127.0.0.1:{silent.getsockname()[1]}", TIMEOUT="1")
        with pytest.raises(EmbeddingError, match="gives no answer within 1 s"):
            loaded.embed(["a"])


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused(load: Load, api: Api, status: int) -> None:
    api.replies = [problem(status, KEY)]
    with pytest.raises(EmbeddingError, match=rf"/v1 refuses the API key \({status}\)") as caught:
        load(API_KEY=KEY).embed(["a"])
    assert KEY not in str(caught.value)
    assert len(api.asked) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_text_that_is_refused_is_named(load: Load, api: Api, status: int) -> None:
    api.replies = [encoded(UNIT), problem(status, "text_too_long")]
    with pytest.raises(InputError, match=rf"refuses the text \({status} text_too_long\)") as caught:
        load().embed(["a", "the text"])
    assert caught.value.index == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (problem(404, "model_not_found"), "answers 404 model_not_found for upstream-model"),
        ((301, {"Location": "http://elsewhere.invalid"}, b""), "answers 301 for upstream-model"),
        (encoded(UNIT[:5]), "makes vectors of 5 numbers; the recipe of tiny says 6"),
        (listed([*UNIT, 0.0]), "makes vectors of 7 numbers"),
        (encoded([float("nan"), *UNIT[1:]]), "answers with NaN or infinity"),
        (listed([float("inf"), *UNIT[1:]]), "answers with NaN or infinity"),
        (listed([1e300, *UNIT[1:]]), "answers with NaN or infinity"),
        (listed([True, *UNIT[1:]]), "something else than one vector"),
        (listed(["0", *UNIT[1:]]), "something else than one vector"),
        (listed([10**400, *UNIT[1:]]), "something else than one vector"),
        (listed("no base64!"), "something else than one vector"),
        (listed("AAAA"), "something else than one vector"),
        (listed(None), "something else than one vector"),
        ((200, {}, b"<html>"), "something else than one vector"),
        ((200, {}, b"\xff"), "something else than one vector"),
        ((200, {}, b"[]"), "something else than one vector"),
        ((200, {}, b'{"data": []}'), "something else than one vector"),
        ((200, {}, b'{"data": [{}, {}]}'), "something else than one vector"),
        ((200, {}, b"9" * 100_000), r"answers more than \d+ bytes"),
    ],
)
def test_an_answer_that_cannot_be_used(load: Load, api: Api, reply: Reply, said: str) -> None:
    api.replies = [reply]
    with pytest.raises(EmbeddingError, match=said):
        load().embed(["a"])
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"BASE_URL": ""}, "BASE_URL is not set"),
        ({"BASE_URL": "api.example"}, "must be an address"),
        ({"BASE_URL": "ftp://api.example"}, "must be an address"),
        ({"BASE_URL": "https://api.example:x"}, "must be an address"),
        ({"BASE_URL": "https:///v1"}, "must be an address"),
        ({"BASE_URL": "https://api.example/v1?key=x"}, "must be an address"),
        ({"BASE_URL": f"https://me:{KEY}@api.example/v1"}, "a user's name or password"),
        ({"API_KEY": f"{KEY} "}, "API_KEY holds what no key has"),
        ({"API_KEY": f"{KEY}\r\nHost: x"}, "API_KEY holds what no key has"),
        ({"API_KEY": f"{KEY}é"}, "API_KEY holds what no key has"),
        ({"API_KEY": KEY, "API_KEY_FILE": "/x"}, "are both set"),
        ({"API_KEY_FILE": "/not/there"}, "/not/there cannot be read"),
        ({"API_KEY_FILE": os.devnull}, "is empty"),
        ({"TIMEOUT": "0"}, "TIMEOUT is '0'"),
        ({"TIMEOUT": "nan"}, "TIMEOUT is 'nan'"),
        ({"TIMEOUT": "soon"}, "TIMEOUT is 'soon'"),
    ],
)
def test_settings_that_cannot_be_used(load: Load, environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        load(**environment)
    assert KEY not in str(caught.value)


def test_the_settings_can_be_shown(backend: ModuleType) -> None:
    environment = {
        "EMBEDDING_OPENAI_BASE_URL": "https://api.example/v1",
        "EMBEDDING_OPENAI_API_KEY": KEY,
    }
    upstream = backend.Upstream.from_environment(environment)
    assert upstream.key == KEY
    assert KEY not in repr(upstream)
    assert upstream.seconds == 60


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
    settings = {"EMBEDDING_OPENAI_BASE_URL": api.url, "EMBEDDING_OPENAI_API_KEY": KEY}
    write_recipe(model, format="openai", prompts={"query": "query: "}, default_prompt="query")
    with started(tmp_path, model, BACKEND, **settings) as service:
        service.wait_for_health("healthy")
        answer = service.embed("the fish")
        assert answer.status == 200
        assert answer.content["embedding"] == np.array(UNIT, np.float32).tolist()
        assert api.asked[-1][2]["input"] == "query: the fish"
        api.replies = [problem(401, KEY)]
        refused = service.embed("the text")
        assert refused.status == 500
        assert refused.content["error"]["message"] == f"{api.url} refuses the API key (401)"
        api.replies = [problem(422, "text_too_long")]
        assert service.embed("the text").status == 422
        health = service.ask("GET", "/health").content
        assert health["runtime"] == {"upstream": api.url, "upstream_model": "upstream-model"}
    log = service.log.read_text()
    assert f"the API key is sent to 127.0.0.1:{api.port} unencrypted" in log
    assert "refuses the API key" in log
    assert KEY not in log
    assert "the text" not in log


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (encoded(UNIT[:5]), "makes vectors of 5 numbers"),
        (encoded([0.0, 3.0, 0.0, 4.0, 0.0, 0.0]), "a vector of length 5"),
        (problem(401), "refuses the API key"),
    ],
)
def test_a_wrong_api_is_never_served(
    api: Api, model: Path, tmp_path: Path, reply: Reply, said: str
) -> None:
    api.replies = [reply]
    settings = {"EMBEDDING_OPENAI_BASE_URL": api.url}
    with started(tmp_path, model, BACKEND, **settings) as service:
        assert service.process.wait(WAIT) == 3
    assert said in service.log.read_text()


def test_without_an_address_the_service_says_so(model: Path) -> None:
    ended = run("embedding_service", model=model, backend=BACKEND)
    assert ended.returncode == 2
    assert "EMBEDDING_OPENAI_BASE_URL is not set" in ended.stderr
