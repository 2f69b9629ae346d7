"""`/embedding/generate` and `/embedding/config`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.unit.service.service_process import Service, started
from tests.unit.service.tiny_model import SPACE, unit_mean, write_model

SHORTER = "sha256:" + "6" * 64
PATH = "/embedding/generate"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    shorter = {"layer_norm": False, "spaces": {"3": SHORTER}}
    with started(directory, write_model(directory / "model", matryoshka=shorter)) as running:
        running.wait_for_health("healthy")
        yield running


def test_a_text_is_answered_with_what_made_its_vector(service: Service) -> None:
    answer = service.ask("POST", PATH, {"text": "alpha"})
    assert answer.status == 200
    assert list(answer.content) == ["embedding", "metadata"]
    expected = unit_mean("[CLS]", "alpha", "[SEP]")
    np.testing.assert_allclose(answer.content["embedding"], expected, atol=1e-6)
    assert answer.content["metadata"] == {
        "provider": "local",
        "model": "tiny",
        "dimensions": 6,
        "precision": "float32",
        "vector_space": SPACE,
        "prompt": None,
        "truncated": False,
        "server_config_id": service.ask("GET", "/embedding/config").content["config_id"],
    }
    assert answer.headers["equivec-vector-space"] == SPACE


def test_the_configuration_says_what_is_served(service: Service) -> None:
    answer = service.ask("GET", "/embedding/config")
    assert answer.status == 200
    config_id = answer.content.pop("config_id")
    assert config_id.startswith("sha256:")
    assert answer.content == {
        "provider": "local",
        "model": "tiny",
        "dimensions": 6,
        "precision": "float32",
        "vector_space": SPACE,
        "supports_browser": True,
        "quantized_variants": [],
    }


@pytest.mark.parametrize(
    ("preferred", "precision"),
    [("float16", "float16"), ("float32", "float32"), ("int4", "float32"), (None, "float32")],
)
def test_the_precision_is_the_preferred_one_if_there_is_such(
    service: Service, preferred: str | None, precision: str
) -> None:
    hint = {"supports_local": True, "supports_quantized": True, "preferred_precision": preferred}
    answer = service.ask("POST", PATH, {"text": "alpha", "client_hint": hint})
    assert answer.status == 200
    assert answer.content["metadata"]["precision"] == precision
    assert answer.headers["equivec-precision"] == precision
    numbers = np.array(answer.content["embedding"])
    is_half = bool(np.abs(numbers.astype(np.float16) - numbers).max() < 1e-7)
    assert is_half == (precision == "float16")
    exact = unit_mean("[CLS]", "alpha", "[SEP]")
    np.testing.assert_allclose(numbers, exact, atol=1e-3 if is_half else 1e-6)


def test_what_other_routes_offer_is_there_too(service: Service) -> None:
    body = {"text": "alpha " * 9, "input_type": "query", "dimensions": 3, "truncate": True}
    answer = service.ask("POST", PATH, body)
    assert answer.status == 200
    metadata = answer.content["metadata"]
    assert (metadata["prompt"], metadata["dimensions"], metadata["truncated"]) == ("query", 3, True)
    assert metadata["vector_space"] == SHORTER
    # The configuration is the server's, whatever this request asked for.
    config = service.ask("GET", "/embedding/config").content
    assert metadata["server_config_id"] == config["config_id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"text": None}, 422, "invalid_request"),
        ({"text": "a\0"}, 422, "invalid_request"),
        ({"text": "a", "hint": {}}, 422, "invalid_request"),
        ({"text": "a", "client_hint": {"supports_local": "yes"}}, 422, "invalid_request"),
        ({"text": "a", "client_hint": {"unknown": 1}}, 422, "invalid_request"),
        ({"text": "a", "input_type": "poem"}, 422, "unknown_input_type"),
        ({"text": "a", "dimensions": 4}, 422, "unknown_dimensions"),
        ({"text": "alpha " * 9}, 413, "text_too_long"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    service: Service, body: object, status: int, code: str
) -> None:
    answer = service.ask("POST", PATH, body)
    assert answer.status == status, answer
    assert answer.content["error"]["code"] == code


def test_another_expected_space_is_refused(service: Service) -> None:
    headers = {"Equivec-Expect-Vector-Space": SHORTER}
    assert service.ask("POST", PATH, {"text": "a"}, headers=headers).status == 409
    shorter = {"text": "a", "dimensions": 3}
    assert service.ask("POST", PATH, shorter, headers=headers).status == 200
