"""The official Python client of OpenAI, pointed at the service by its URL alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from tests.unit.service.service_process import Service, started, write_backend
from tests.unit.service.tiny_model import VOCABULARY, Vectors, unit_mean, write_model


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    shorter = {"layer_norm": False, "spaces": {"3": "sha256:" + "3" * 64}}
    model = write_model(directory / "model", matryoshka=shorter)
    with started(directory, model) as running:
        running.wait_for_health("healthy")
        yield running


def settings(service: Service) -> dict[str, Any]:
    return {
        "base_url": f"http://127.0.0.1:{service.port}/v1",
        "api_key": "-",
        "max_retries": 0,
        "timeout": 30,
    }


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(**settings(service)) as client:
        yield client


def check(answer: openai.types.CreateEmbeddingResponse, *expected: Vectors) -> None:
    assert [each.index for each in answer.data] == list(range(len(expected)))
    for each, vector in zip(answer.data, expected, strict=True):
        np.testing.assert_allclose(each.embedding, vector, atol=1e-6)


ALPHA = unit_mean("[CLS]", "alpha", "[SEP]")
BETA = unit_mean("[CLS]", "beta", "[SEP]")
TOKENS = [[VOCABULARY.index("alpha")], [VOCABULARY.index("beta")]]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("alpha", [ALPHA]),
        (["alpha", "beta"], [ALPHA, BETA]),
        (TOKENS[0], [ALPHA]),
        (TOKENS, [ALPHA, BETA]),
    ],
)
def test_each_form_of_input_is_embedded(
    client: openai.OpenAI, asked: Any, expected: list[Vectors]
) -> None:
    # The client asks for base64 by itself.
    answer = client.embeddings.create(model="tiny", input=asked)
    check(answer, *expected)
    assert answer.model == "tiny"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 3 * len(expected)


def test_numbers_are_the_same_as_base64(client: openai.OpenAI) -> None:
    check(client.embeddings.create(model="tiny", input="alpha", encoding_format="float"), ALPHA)


def test_vectors_can_be_shorter(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="tiny", input="alpha", dimensions=3)
    check(answer, ALPHA[:3] / np.linalg.norm(ALPHA[:3]))


def test_what_is_not_openais_goes_in_the_extra_body(client: openai.OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(
        model="tiny",
        input="alpha " * 9,
        extra_body={"input_type": "query", "truncate": True},
    )
    check(raw.parse(), unit_mean("[CLS]", "query:", *["alpha"] * 5, "[SEP]"))
    assert raw.headers["Equivec-Prompt"] == "query"
    assert raw.headers["Equivec-Truncated"] == "true"


def test_the_client_that_does_not_block_is_answered_too(service: Service) -> None:
    async def ask() -> openai.types.CreateEmbeddingResponse:
        async with openai.AsyncOpenAI(**settings(service)) as client:
            return await client.embeddings.create(model="tiny", input="alpha")

    check(asyncio.run(ask()), ALPHA)


def test_models_are_listed_and_described(client: openai.OpenAI) -> None:
    (model,) = client.models.list()
    assert (model.id, model.object) == ("tiny", "model")
    assert client.models.retrieve("tiny") == model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


@pytest.mark.parametrize(
    ("asked", "kind", "code", "param"),
    [
        ({"model": "other"}, openai.NotFoundError, "model_not_found", "model"),
        ({"input": []}, openai.UnprocessableEntityError, "invalid_request", "input"),
        ({"dimensions": 4}, openai.UnprocessableEntityError, "unknown_dimensions", "dimensions"),
        ({"dimensions": -1}, openai.UnprocessableEntityError, "invalid_request", "dimensions"),
        ({"input": "a " * 99}, openai.APIStatusError, "text_too_long", None),
        ({"extra_body": {"x": 1}}, openai.UnprocessableEntityError, "invalid_request", "x"),
        (
            {"extra_headers": {"Equivec-Expect-Vector-Space": "sha256:" + "3" * 64}},
            *(openai.ConflictError, "vector_space_mismatch", None),
        ),
    ],
)
def test_a_refusal_is_the_clients_own_error(
    client: openai.OpenAI,
    asked: Mapping[str, Any],
    kind: type[openai.APIStatusError],
    code: str,
    param: str | None,
) -> None:
    with pytest.raises(kind) as caught:
        client.embeddings.create(**{"model": "tiny", "input": "alpha"} | dict(asked))
    error = caught.value
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")


def test_the_client_comes_again_until_the_model_is_loaded(tmp_path: Path) -> None:
    backend = write_backend(tmp_path / "backend", load="wait_for('go')")
    with started(tmp_path, write_model(tmp_path / "model"), backend) as service:
        service.wait_for_health("degraded")
        with openai.OpenAI(**settings(service)) as once, pytest.raises(openai.InternalServerError):
            once.embeddings.create(model="tiny", input="alpha")
        (tmp_path / "backend" / "go").touch()
        with openai.OpenAI(**settings(service) | {"max_retries": 9}) as patient:
            check(patient.embeddings.create(model="tiny", input="alpha"), np.eye(1, 6)[0])


def test_the_clients_key_is_the_services(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    with started(tmp_path, model, EMBEDDING_API_KEYS="one,two") as service:
        service.wait_for_health("healthy")
        with openai.OpenAI(**settings(service) | {"api_key": "two"}) as known:
            check(known.embeddings.create(model="tiny", input="alpha"), ALPHA)
        with (
            openai.OpenAI(**settings(service) | {"api_key": "three"}) as unknown,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            unknown.embeddings.create(model="tiny", input="alpha")
    assert (caught.value.code, caught.value.type) == ("unauthorized", "invalid_request_error")
