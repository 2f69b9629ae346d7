"""What the service answers over HTTP, with the real backend."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embedding_service.routes.embed import REFUSALS
from tests.unit.service.service_process import Answer, Service, started
from tests.unit.service.tiny_model import (
    SPACE,
    VOCABULARY,
    Vectors,
    unit_mean,
    write_model,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    with started(directory, write_model(directory / "model")) as running:
        running.wait_for_health("healthy")
        yield running


def vector(answer: Answer) -> Vectors:
    assert answer.status == 200, answer
    return np.array(answer.content["embedding"], dtype=np.float32)


def test_a_text_is_answered_with_its_vector(service: Service) -> None:
    answer = service.embed("alpha beta")
    assert answer.status == 200
    expected = unit_mean("[CLS]", "alpha", "beta", "[SEP]")
    np.testing.assert_allclose(vector(answer), expected, atol=1e-6)
    assert answer.content | {"embedding": []} == {
        "embedding": [],
        "model": "tiny",
        "dimension": 6,
        "vector_space": SPACE,
        "precision": "float32",
        "prompt": None,
        "truncated": False,
    }


def test_the_empty_text_is_its_special_tokens(service: Service) -> None:
    expected = unit_mean("[CLS]", "[SEP]")
    np.testing.assert_allclose(vector(service.embed("")), expected, atol=1e-6)


def test_health_says_what_is_served(service: Service) -> None:
    answer = service.ask("GET", "/health")
    assert answer.status == 200
    libraries = answer.content.pop("libraries")
    assert set(libraries) == {"numpy", "onnxruntime", "tokenizers"}
    assert answer.content == {
        "status": "healthy",
        "embedding_model_loaded": True,
        "model": "tiny",
        "dimension": 6,
        "inputs": ["text"],
        "vector_space": SPACE,
        "precision": "float32",
        "backend": "onnxruntime",
        "architecture": platform.machine(),
        "runtime": {"execution_provider": "CPUExecutionProvider"},
    }


def test_many_clients_each_get_their_own_vector(service: Service) -> None:
    words = [word for word in VOCABULARY if not word.startswith("[")] * 16
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(service.embed, words))
    for word, answer in zip(words, answers, strict=True):
        expected = unit_mean("[CLS]", word, "[SEP]")
        np.testing.assert_allclose(vector(answer), expected, atol=1e-6)


def test_a_text_at_the_limit_is_embedded_whole(service: Service) -> None:
    words = ["alpha"] * 5 + ["beta"]
    expected = unit_mean("[CLS]", *words, "[SEP]")
    np.testing.assert_allclose(vector(service.embed(" ".join(words))), expected, atol=1e-6)


def test_a_text_beyond_the_limit_is_refused_with_both_figures(service: Service) -> None:
    answer = service.embed("alpha " * 7)
    assert answer.status == 413
    assert answer.content["error"]["code"] == "text_too_long"
    assert answer.content["error"]["tokens"] == 9
    assert answer.content["error"]["limit"] == 8


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 422, "body: give either text or image"),
        ({"text": 1}, 422, "body.text: Input should be a valid string"),
        ({"text": None}, 422, "body.text: Input should be a valid string"),
        ({"text": ["a"]}, 422, "body.text: Input should be a valid string"),
        ({"text": "a", "txet": "b"}, 422, "body.txet: Extra inputs are not permitted"),
        ({"text": "a\0b"}, 422, "body.text: a text cannot hold NUL characters"),
        ({"text": "a\ud800b"}, 422, "body.text: a text cannot hold lone surrogates"),
        ({"text": "a", "\ud800": 1}, 422, "unable to parse raw data as a unicode string"),
        ({"text": "a", "x" * 999: 1}, 422, f"body.{'x' * 60}: Extra inputs"),
        (["a"], 422, "Input should be a valid dictionary"),
        (b"{", 400, "not JSON: Expecting property name enclosed in double quotes, at character 1"),
        (b'{"text": "\xff"}', 400, "not JSON: it is not UTF-8, at byte 10"),
        (b"[" * 100_000, 400, "not JSON: it is nested too deeply"),
        (None, 422, "body: Field required"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    service: Service, body: object, status: int, message: str
) -> None:
    answer = service.ask("POST", "/embed", body)
    assert answer.status == status
    assert list(answer.content) == ["error"]
    assert list(answer.content["error"]) == ["code", "message", "type", "param"]
    assert message in answer.content["error"]["message"]


def test_a_refusal_does_not_repeat_the_text(service: Service) -> None:
    for body in ({"text": "secret\0"}, {"text": ["secret"]}, {"text": "secret " * 9}):
        assert "secret" not in str(service.ask("POST", "/embed", body).content)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/embed", 405, "method_not_allowed"),
        ("GET", "/nowhere", 404, "not_found"),
        # Pages that would load scripts from elsewhere.
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/redoc", 404, "not_found"),
    ],
)
def test_errors_of_routing_have_the_same_shape(
    service: Service, method: str, path: str, status: int, code: str
) -> None:
    answer = service.ask(method, path)
    assert answer.status == status
    assert answer.content["error"]["code"] == code


def test_the_openapi_document_names_every_answer(service: Service) -> None:
    document = service.ask("GET", "/openapi.json").content
    answers = document["paths"]["/embed"]["post"]["responses"]
    assert set(answers) == {"200", *map(str, REFUSALS)}
    for status, answer in answers.items():
        reference = answer["content"]["application/json"]["schema"]["$ref"]
        name = "EmbedAnswer" if status == "200" else "ErrorAnswer"
        assert reference == f"#/components/schemas/{name}"


def test_nothing_of_all_this_is_logged(service: Service) -> None:
    assert [line.split()[1:3] for line in service.log.read_text().splitlines()] == [
        ["INFO", "ready:"]
    ]
