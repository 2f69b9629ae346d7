"""What the service answers to clients that speak OpenAI's interface, with the real backend."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.unit.service.service_process import Answer, Service, started, write_backend
from tests.unit.service.tiny_model import SPACE, VOCABULARY, Vectors, unit_mean, write_model

PATH = "/v1/embeddings"
SHORTER = "sha256:" + "3" * 64
"""The space of vectors of 3 dimensions."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    shorter = {"layer_norm": False, "spaces": {"3": SHORTER}}
    model = write_model(directory / "model", matryoshka=shorter)
    with started(directory, model) as running:
        running.wait_for_health("healthy")
        yield running


def ask(service: Service, **body: object) -> Answer:
    return service.ask("POST", PATH, {"model": "tiny", **body})


def vectors(answer: Answer) -> list[Vectors]:
    assert answer.status == 200, answer
    assert set(answer.content) == {"object", "data", "model", "usage"}
    assert answer.content["object"] == "list"
    assert answer.content["model"] == "tiny"
    found = answer.content["data"]
    assert [(each["object"], each["index"]) for each in found] == [
        ("embedding", index) for index in range(len(found))
    ]
    return [np.array(each["embedding"], dtype=np.float32) for each in found]


def numbers(*tokens: str) -> list[int]:
    return [VOCABULARY.index(token) for token in tokens]


def check(answer: Answer, *expected: Vectors) -> None:
    for vector, each in zip(vectors(answer), expected, strict=True):
        np.testing.assert_allclose(vector, each, atol=1e-6)


def test_a_text_has_the_vector_that_embed_gives(service: Service) -> None:
    (vector,) = vectors(ask(service, input="alpha beta"))
    assert vector.tolist() == np.float32(service.embed("alpha beta").content["embedding"]).tolist()


def test_texts_are_answered_in_their_order(service: Service) -> None:
    answer = ask(service, input=["alpha", "beta", ""])
    expected = (unit_mean("[CLS]", *words, "[SEP]") for words in (["alpha"], ["beta"], []))
    check(answer, *expected)


def test_tokens_are_one_text(service: Service) -> None:
    answer = ask(service, input=numbers("alpha", "beta"))
    check(answer, unit_mean("[CLS]", "alpha", "beta", "[SEP]"))


def test_a_number_without_a_fraction_is_an_integer(service: Service) -> None:
    (expected,) = vectors(ask(service, input=[4, 5], dimensions=3))
    check(ask(service, input=[4.0, 5.0], dimensions=3.0), expected)


def test_lists_of_tokens_are_as_many_texts(service: Service) -> None:
    answer = ask(service, input=[numbers("alpha"), numbers("[CLS]", "beta", "[SEP]"), []])
    expected = (unit_mean("[CLS]", *words, "[SEP]") for words in (["alpha"], ["beta"], []))
    check(answer, *expected)


def test_base64_is_the_same_numbers(service: Service) -> None:
    (expected,) = vectors(ask(service, input="alpha"))
    answer = ask(service, input="alpha", encoding_format="base64")
    encoded = answer.content["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(encoded), "<f4").tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        ("alpha", 3),
        (["alpha", "alpha beta", ""], 3 + 4 + 2),
        (numbers("alpha", "beta"), 4),
        ([numbers("alpha"), []], 3 + 2),
    ],
)
def test_the_tokens_are_counted(service: Service, asked: object, tokens: int) -> None:
    usage = ask(service, input=asked).content["usage"]
    assert usage == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_what_changes_nothing_is_taken(service: Service) -> None:
    plain = ask(service, input="alpha")
    for same in ({"dimensions": 6, "user": "x"}, {"dimensions": None, "encoding_format": "float"}):
        assert ask(service, input="alpha", **same).content == plain.content


def test_every_answer_says_what_it_is(service: Service) -> None:
    headers = ask(service, input="alpha").headers
    assert headers["equivec-vector-space"] == SPACE
    assert headers["equivec-precision"] == "float32"
    assert headers["equivec-prompt"] == "none"
    assert headers["equivec-truncated"] == "false"


def test_a_shorter_vector_is_of_its_own_space(service: Service) -> None:
    (full,) = vectors(ask(service, input="alpha"))
    answer = ask(service, input="alpha", dimensions=3)
    check(answer, full[:3] / np.linalg.norm(full[:3]))
    assert answer.headers["equivec-vector-space"] == SHORTER


def test_a_prompt_is_chosen_by_its_name(service: Service) -> None:
    answer = ask(service, input="alpha", input_type="query")
    check(answer, unit_mean("[CLS]", "query:", "alpha", "[SEP]"))
    assert answer.headers["equivec-prompt"] == "query"
    assert answer.content["usage"]["prompt_tokens"] == 4


def test_a_long_text_is_cut_if_asked_to(service: Service) -> None:
    answer = ask(service, input=["alpha " * 9, "beta"], truncate=True)
    whole = unit_mean("[CLS]", *["alpha"] * 6, "[SEP]")
    check(answer, whole, unit_mean("[CLS]", "beta", "[SEP]"))
    assert answer.headers["equivec-truncated"] == "true"


def test_the_client_may_expect_a_space(service: Service) -> None:
    for space, status in ((SPACE, 200), (SHORTER, 409)):
        headers = {"Equivec-Expect-Vector-Space": space}
        body = {"model": "tiny", "input": "alpha"}
        assert service.ask("POST", PATH, body, headers=headers).status == status


def test_the_precision_that_the_operator_sets_holds_here_too(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    with started(tmp_path, model, EMBEDDING_PRECISION="float16") as service:
        service.wait_for_health("healthy")
        answer = ask(service, input="alpha")
        (vector,) = vectors(answer)
        assert answer.headers["equivec-precision"] == "float16"
        assert vector.tolist() == vector.astype(np.float16).tolist()
        encoded = ask(service, input="alpha", encoding_format="base64").content["data"][0]
        same = np.frombuffer(base64.b64decode(encoded["embedding"]), "<f4")
        assert same.tolist() == vector.tolist()


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"input": "a", "model": "other"}, 404, "model_not_found", "model"),
        ({"input": "a", "dimensions": 5}, 422, "unknown_dimensions", "dimensions"),
        ({"input": "a", "input_type": "x"}, 422, "unknown_input_type", "input_type"),
        ({"input": "a", "model": None}, 422, "invalid_request", "model"),
        ({"input": "alpha " * 9}, 413, "text_too_long", None),
        ({"input": numbers("alpha") * 9}, 413, "text_too_long", None),
    ],
)
def test_an_error_has_openais_shape(
    service: Service, body: Mapping[str, object], status: int, code: str, param: str | None
) -> None:
    answer = ask(service, **body)
    assert answer.status == status, answer
    error = answer.content["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    found = (error["type"], error["code"], error["param"])
    assert found == ("invalid_request_error", code, param)


def test_a_refused_text_is_named(service: Service) -> None:
    answer = ask(service, input=["a", "alpha " * 9])
    error = answer.content["error"]
    assert (error["index"], error["tokens"], error["limit"]) == (1, 11, 8)


def test_a_form_is_told_apart_so_that_only_its_own_error_is_said(service: Service) -> None:
    error = ask(service, input=["a", 1, 2]).content["error"]
    assert error["message"] == "body.input.texts.1: Input should be a valid string"
    assert error["param"] == "input"


def test_models_are_listed(service: Service) -> None:
    tiny = {"id": "tiny", "object": "model", "created": 0, "owned_by": "equivec"}
    listed = service.ask("GET", "/v1/models")
    assert (listed.status, listed.content) == (200, {"object": "list", "data": [tiny]})
    assert service.ask("GET", "/v1/models/tiny").content == tiny


@pytest.mark.parametrize("name", ["other", "", "tiny/", "a/b", "%FF", "..%2Ftiny", "TINY"])
def test_another_model_is_not_found(service: Service, name: str) -> None:
    answer = service.ask("GET", f"/v1/models/{name}")
    assert answer.status == 404
    assert answer.content["error"]["code"] == "model_not_found"
    assert answer.content["error"]["message"] == "the model that is served is tiny"


def test_a_models_name_may_have_slashes(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", name="owner/tiny")
    with started(tmp_path, model) as service:
        service.wait_for_health("healthy")
        for path in ("owner/tiny", "owner%2Ftiny"):
            assert service.ask("GET", f"/v1/models/{path}").content["id"] == "owner/tiny"


def test_while_the_model_loads_clients_are_asked_to_come_again(tmp_path: Path) -> None:
    backend = write_backend(tmp_path / "backend", load="wait_for('go')")
    with started(tmp_path, write_model(tmp_path / "model"), backend) as service:
        service.wait_for_health("degraded")
        answer = ask(service, input="alpha")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        error = answer.content["error"]
        assert (error["type"], error["code"]) == ("server_error", "not_ready")
        assert service.ask("GET", "/v1/models").content["data"][0]["id"] == "tiny"


def test_a_failure_of_the_backend_is_the_servers(tmp_path: Path) -> None:
    failing = "if 'alpha' in contents: raise RuntimeError('secret')\n        return unit(inputs)"
    backend = write_backend(tmp_path / "backend", embed=failing)
    with started(tmp_path, write_model(tmp_path / "model"), backend) as service:
        service.wait_for_health("healthy")
        answer = ask(service, input=["beta", "alpha"])
        assert answer.status == 500
        error = answer.content["error"]
        assert (error["type"], error["code"]) == ("server_error", "embedding_failed")
        assert "secret" not in error["message"]
        # This backend has its tokenizer to itself, as an upstream has.
        assert ask(service, input="beta").content["usage"]["total_tokens"] == 0
        refused = ask(service, input=[1])
        assert (refused.status, refused.content["error"]["code"]) == (422, "tokens_not_known")
