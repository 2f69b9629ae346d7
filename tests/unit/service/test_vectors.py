"""The two ways to a vector document: the backend itself, and the service over HTTP."""

from __future__ import annotations

import base64
import json
import platform
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.service.service_process import Service, free_port, run, started, write_backend
from tests.unit.service.tiny_model import SPACE, Vectors, unit_mean, write_model

TEXTS = {
    "one": "alpha",
    "none": "",
    "two": "alpha beta",
    "other": "Ünknown 漢字 🙂",
    "three": "gamma",
}
LIBRARIES = {name: version(name) for name in ("numpy", "onnxruntime", "tokenizers")}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("vectors")
    write_model(directory / "model")
    write_corpus(directory / "corpus.jsonl", TEXTS)
    return directory


@pytest.fixture(scope="module")
def service(directory: Path) -> Iterator[Service]:
    with started(directory, directory / "model") as running:
        yield running


def write_corpus(path: Path, texts: dict[str, str]) -> None:
    lines = (json.dumps({"id": key, "text": text}) + "\n" for key, text in texts.items())
    path.write_text("".join(lines), encoding="utf-8")


def decoded(document: dict[str, Any], key: str) -> Vectors:
    return np.frombuffer(base64.b64decode(document["vectors"][key]), dtype="<f4")


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_corpus_is_embedded_in_batches(directory: Path, batch_size: int) -> None:
    completed = run(
        "embedding_service.vectors",
        *("--corpus", directory / "corpus.jsonl", "--batch-size", str(batch_size)),
        model=directory / "model",
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == ""
    document = json.loads(completed.stdout)
    assert list(document["vectors"]) == list(TEXTS)
    expected = unit_mean("[CLS]", "alpha", "beta", "[SEP]")
    np.testing.assert_allclose(decoded(document, "two"), expected, atol=1e-6)
    assert document | {"vectors": {}} == {
        "backend": "onnxruntime",
        "libraries": LIBRARIES,
        "model": "tiny",
        "dimension": 6,
        "vector_space": SPACE,
        "precision": "float32",
        "architecture": platform.machine(),
        "batch_size": batch_size,
        "vectors": {},
    }


def test_the_client_writes_the_very_same_document(
    directory: Path, service: Service, tmp_path: Path
) -> None:
    corpus = ("--corpus", directory / "corpus.jsonl")
    port = {"EMBEDDING_SERVER_PORT": str(service.port)}
    model = directory / "model"
    waited = run("embedding_service.client", "wait", model=model, settings=port)
    assert waited.returncode == 0, waited.stderr
    assert waited.stderr == ""
    assert json.loads(waited.stdout)["status"] == "healthy"
    asked = run("embedding_service.client", "embed", *corpus, model=model, settings=port)
    assert asked.returncode == 0, asked.stderr
    assert asked.stderr == ""
    output = tmp_path / "vectors.json"
    made = run(
        *("embedding_service.vectors", *corpus, "--batch-size", "1", "--output", output),
        model=model,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout == ""
    assert asked.stdout == output.read_text(encoding="utf-8")


def test_a_proxy_of_the_environment_is_not_asked(directory: Path, service: Service) -> None:
    settings = {"EMBEDDING_SERVER_PORT": str(service.port), "http_proxy": "http://127.0.0.1:9"}
    waited = run("embedding_service.client", "wait", model=directory / "model", settings=settings)
    assert waited.returncode == 0, waited.stderr


def test_a_text_that_cannot_be_embedded_is_named(
    directory: Path, service: Service, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    write_corpus(corpus, TEXTS | {"long": "alpha " * 7})
    model = directory / "model"
    made = run("embedding_service.vectors", "--corpus", corpus, "--batch-size", "4", model=model)
    assert made.returncode == 3
    assert made.stderr == (
        "embedding_service.vectors: text 'long': the text has 9 tokens, prompt and special tokens "
        "included; the model takes 8\n"
    )
    settings = {"EMBEDDING_SERVER_PORT": str(service.port)}
    asked = run(
        "embedding_service.client", "embed", "--corpus", corpus, model=model, settings=settings
    )
    assert asked.returncode == 5
    assert "embedding_service.client: text 'long': 413" in asked.stderr
    assert asked.stdout == ""


def test_a_backend_that_returns_a_wrong_vector_is_found(directory: Path, tmp_path: Path) -> None:
    made = run(
        *("embedding_service.vectors", "--corpus", directory / "corpus.jsonl"),
        *("--batch-size", "3"),
        model=directory / "model",
        backend=write_backend(tmp_path / "broken", embed="return unit(inputs) * np.nan"),
    )
    assert made.returncode == 3
    assert "inputs one, none, two: broken returned a vector with NaN" in made.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "nowhere.jsonl", "--batch-size", "1"], "corpus nowhere.jsonl cannot be read"),
        (["--corpus", "x", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["--corpus", "x"], "the following arguments are required: --batch-size"),
    ],
)
def test_bad_arguments_are_refused(directory: Path, arguments: list[str], message: str) -> None:
    made = run("embedding_service.vectors", *arguments, model=directory / "model")
    assert made.returncode == 2
    assert message in made.stderr


def test_waiting_for_no_service_ends_in_time(directory: Path) -> None:
    port = free_port()
    waited = run(
        *("embedding_service.client", "wait", "--timeout", "0.2"),
        model=directory / "model",
        settings={"EMBEDDING_SERVER_PORT": str(port)},
    )
    assert waited.returncode == 5
    assert waited.stdout == ""
    assert f"not ready after 0.2 s: no answer from 127.0.0.1:{port}" in waited.stderr


def test_waiting_for_a_model_that_never_loads_says_what_was_seen(
    directory: Path, tmp_path: Path
) -> None:
    slow = write_backend(tmp_path / "slow", load='wait_for("gate")')
    with started(tmp_path, directory / "model", slow) as service:
        service.wait_for_health("degraded")
        waited = run(
            *("embedding_service.client", "wait", "--timeout", "0.2"),
            model=directory / "model",
            settings={"EMBEDDING_SERVER_PORT": str(service.port)},
        )
    assert waited.returncode == 5
    assert "not ready after 0.2 s: /health says {" in waited.stderr
    assert '"embedding_model_loaded": false' in waited.stderr


class Stranger(BaseHTTPRequestHandler):
    """Some other service, which answers JSON to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("command", [["wait", "--timeout", "0.2"], ["embed", "--corpus", "corpus"]])
def test_another_service_on_the_port_is_told_apart(
    directory: Path, tmp_path: Path, command: list[str]
) -> None:
    corpus = tmp_path / "corpus"
    write_corpus(corpus, TEXTS)
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            asked = run(
                "embedding_service.client",
                *(corpus if word == "corpus" else word for word in command),
                model=directory / "model",
                settings={"EMBEDDING_SERVER_PORT": str(server.server_port)},
            )
        finally:
            server.shutdown()
            thread.join()
    assert asked.returncode == 5
    assert f"127.0.0.1:{server.server_port} is no embedding service" in asked.stderr
