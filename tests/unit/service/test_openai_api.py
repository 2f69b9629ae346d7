"""What the service answers to clients that speak OpenAI's interface, with the real backend."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.unit.service.service_process import Answer, Service, started, write_backend
from tests.unit.service.tiny_model import Vectors, unit_mean, write_model

PATH = "/v1/embeddings"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    with started(directory, write_model(directory / "model")) as running:
        running.wait_for_health("healthy")
        yield running


def ask(service: Service, **body: object) -> Answer:
    return service.ask("POST", PATH, {"model": "tiny", **body})


def vectors(answer: Answer) -> list[Vectors]:
    assert answer.status == 200, answer
    assert answer.content["object"] == "list"
    assert answer.content["model"] == "tiny"
    found = answer.content["data"]
    assert [(each["object"], each["index"]) for each in found] == [
        ("embedding", index) for index in range(len(found))
    ]
    return [np.array(each["embedding"], dtype=np.float32) for each in found]


def test_a_text_has_the_vector_that_embed_gives(service: Service) -> None:
    (vector,) = vectors(ask(service, input="alpha beta"))
    assert vector.tolist() == service.embed("alpha beta").content["embedding"]


def test_texts_are_answered_in_their_order(service: Service) -> None:
    found = vectors(ask(service, input=["alpha", "beta", ""]))
    for vector, words in zip(found, (["alpha"], ["beta"], []), strict=True):
        np.testing.assert_allclose(vector, unit_mean("[CLS]", *words, "[SEP]"), atol=1e-6)


def test_base64_is_the_same_numbers(service: Service) -> None:
    (expected,) = vectors(ask(service, input="alpha"))
    answer = ask(service, input="alpha", encoding_format="base64")
    encoded = answer.content["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(encoded), "<f4").tolist() == expected.tolist()


def test_what_changes_nothing_is_taken(service: Service) -> None:
    answer = ask(service, input="alpha", dimensions=6, user="x", encoding_format="float")
    assert answer.status == 200
    assert set(answer.content) == {"object", "data", "model"}  # no tokens are counted


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"input": "a", "model": "other"}, 404, "not_found", "the model that is served is tiny"),
        ({"input": "a", "dimensions": 3}, 400, "bad_request", "a vector of tiny has 6 numbers"),
        ({"input": []}, 422, "invalid_request", "at least 1 item"),
        ({"input": ["a"] * 2049}, 422, "invalid_request", "at most 2048 items"),
        ({"input": [1, 2]}, 422, "invalid_request", "valid string"),
        ({"input": "a\0"}, 422, "invalid_request", "NUL"),
        ({"input": ["a", "b\0"]}, 422, "invalid_request", "NUL"),
        ({"input": "\ud800"}, 422, "invalid_request", "surrogates"),
        ({}, 422, "invalid_request", "body.input: Field required"),
        ({"input": "a", "encoding_format": "hex"}, 422, "invalid_request", "'float' or 'base64'"),
        ({"input": "a", "texts": "b"}, 422, "invalid_request", "not permitted"),
        ({"input": "alpha " * 9}, 413, "text_too_long", "11 tokens"),
        ({"input": ["a", "alpha " * 9]}, 413, "text_too_long", "11 tokens"),
    ],
)
def test_an_error_has_openais_shape(
    service: Service, body: Mapping[str, object], status: int, code: str, said: str
) -> None:
    answer = ask(service, **body)
    assert answer.status == status, answer
    error = answer.content["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert said in error["message"]


def test_what_is_no_json_is_refused(service: Service) -> None:
    answer = service.ask("POST", PATH, b"{")
    assert answer.status == 422
    assert answer.content["error"]["type"] == "invalid_request_error"


def test_while_the_model_loads_clients_are_asked_to_come_again(tmp_path: Path) -> None:
    backend = write_backend(tmp_path / "backend", load="wait_for('go')")
    with started(tmp_path, write_model(tmp_path / "model"), backend) as service:
        service.wait_for_health("degraded")
        answer = ask(service, input="alpha")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        error = answer.content["error"]
        assert (error["type"], error["code"]) == ("server_error", "not_ready")


def test_a_failure_of_the_backend_is_the_servers(tmp_path: Path) -> None:
    failing = "if 'alpha' in inputs: raise RuntimeError('secret')\n        return unit(inputs)"
    backend = write_backend(tmp_path / "backend", embed=failing)
    with started(tmp_path, write_model(tmp_path / "model"), backend) as service:
        service.wait_for_health("healthy")
        answer = ask(service, input=["beta", "alpha"])
        assert answer.status == 500
        error = answer.content["error"]
        assert (error["type"], error["code"]) == ("server_error", "embedding_failed")
        assert "secret" not in error["message"]


def test_the_interface_is_described(service: Service) -> None:
    paths = service.ask("GET", "/openapi.json").content["paths"]
    assert set(paths[PATH]) == {"post"}
    assert "422" in paths[PATH]["post"]["responses"]
