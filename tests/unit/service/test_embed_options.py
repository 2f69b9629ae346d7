"""What a client may choose for a vector, and what every answer says of it, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import make_images
from tests.unit.service.service_process import Answer, Service, started, write_backend
from tests.unit.service.tiny_model import SPACE, unit_mean, write_model, write_recipe

SHORTER = "sha256:" + "4" * 64
MATRYOSHKA = {"layer_norm": False, "spaces": {"4": SHORTER}}
EXPECT = "Equivec-Expect-Vector-Space"
WHOLE = unit_mean("[CLS]", "alpha", "[SEP]")
CUT = WHOLE[:4] / np.linalg.norm(WHOLE[:4])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("options") / "model", matryoshka=MATRYOSHKA)


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[Service]:
    with started(model.parent, model) as running:
        running.wait_for_health("healthy")
        yield running


def embed(service: Service, *, headers: Mapping[str, str] | None = None, **body: object) -> Answer:
    return service.ask("POST", "/embed", {"text": "alpha", **body}, headers=headers)


def said(answer: Answer) -> tuple[str, str, str, str]:
    """Return what the headers say; the body says the same."""
    assert answer.status == 200, answer
    names = ("vector-space", "precision", "prompt", "truncated")
    space, precision, prompt, truncated = (answer.headers[f"equivec-{name}"] for name in names)
    assert answer.content["vector_space"] == space
    assert answer.content["precision"] == precision
    assert (answer.content["prompt"] or "none") == prompt
    assert answer.content["truncated"] == (truncated == "true")
    assert answer.content["dimension"] == len(answer.content["embedding"])
    return space, precision, prompt, truncated


def test_without_any_choice_all_is_as_the_model_declares_it(service: Service) -> None:
    answer = embed(service)
    assert said(answer) == (SPACE, "float32", "none", "false")
    np.testing.assert_allclose(answer.content["embedding"], WHOLE, atol=1e-6)


def test_the_type_of_input_chooses_the_prompt(service: Service) -> None:
    answer = embed(service, input_type="query")
    assert said(answer) == (SPACE, "float32", "query", "false")
    expected = unit_mean("[CLS]", "query:", "alpha", "[SEP]")
    np.testing.assert_allclose(answer.content["embedding"], expected, atol=1e-6)
    twice = embed(service, text="query: alpha", input_type="query")
    assert said(twice) == said(answer)
    assert twice.content["embedding"] == answer.content["embedding"]


def test_a_type_of_input_that_is_not_declared_is_refused(service: Service) -> None:
    answer = embed(service, input_type="passage")
    assert answer.status == 422
    assert answer.content["error"]["code"] == "unknown_input_type"
    assert "query" in answer.content["error"]["message"]
    assert "passage" not in answer.content["error"]["message"]


def test_a_text_is_cut_where_that_is_asked_for(service: Service) -> None:
    long = " ".join(["alpha"] * 6 + ["beta"] * 100)
    assert embed(service, text=long).status == 413
    answer = embed(service, text=long, truncate=True)
    assert said(answer) == (SPACE, "float32", "none", "true")
    expected = unit_mean("[CLS]", *["alpha"] * 6, "[SEP]")
    np.testing.assert_allclose(answer.content["embedding"], expected, atol=1e-6)
    assert said(embed(service, truncate=True)) == (SPACE, "float32", "none", "false")


def test_a_shorter_vector_is_of_another_space(service: Service) -> None:
    answer = embed(service, dimensions=4)
    assert said(answer) == (SHORTER, "float32", "none", "false")
    np.testing.assert_allclose(answer.content["embedding"], CUT, atol=1e-6)
    assert said(embed(service, dimensions=6)) == said(embed(service))


def test_another_length_is_refused_with_those_that_there_are(service: Service) -> None:
    answer = embed(service, dimensions=5)
    assert answer.status == 422
    assert answer.content["error"]["code"] == "unknown_dimensions"
    assert answer.content["error"]["dimensions"] == [6, 4]
    assert embed(service, dimensions=0).content["error"]["code"] == "invalid_request"


@pytest.mark.parametrize(
    ("expected", "dimensions", "actual"),
    [
        (SPACE, None, None),
        (SHORTER, 4, None),
        (SHORTER, None, SPACE),
        (SPACE, 4, SHORTER),
        ("sha256:nonsense", None, SPACE),
        (SPACE.upper(), None, SPACE),
    ],
)
def test_vectors_of_another_space_than_expected_are_never_sent(
    service: Service, expected: str, dimensions: int | None, actual: str | None
) -> None:
    answer = embed(service, headers={EXPECT: expected}, dimensions=dimensions)
    if actual is None:
        assert said(answer)[0] == expected
        return
    assert answer.status == 409
    assert list(answer.content) == ["error"]
    assert answer.content["error"]["code"] == "vector_space_mismatch"
    assert answer.content["error"]["vector_space"] == actual
    assert "equivec-vector-space" not in answer.headers


def test_an_image_may_expect_a_space_too(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    write_recipe(model, inputs=["text", "image"])
    seeing = write_backend(tmp_path / "seeing", images=True)
    image = make_images.pngs()["gradient.png"]
    with started(tmp_path, model, seeing) as service:
        service.wait_for_health("healthy")
        for expected, status in ((SPACE, 200), (SHORTER, 409)):
            answer = service.ask(
                *("POST", "/embed", image),
                content_type="image/png",
                headers={EXPECT: expected},
            )
            assert answer.status == status
        assert said(service.ask("POST", "/embed", image, content_type="image/png"))[0] == SPACE


def test_the_operator_may_choose_length_and_precision(model: Path, tmp_path: Path) -> None:
    with started(
        tmp_path, model, EMBEDDING_DIMENSIONS="4", EMBEDDING_PRECISION="float16"
    ) as service:
        service.wait_for_health("healthy")
        answer = embed(service)
        assert said(answer) == (SHORTER, "float16", "none", "false")
        halves = CUT.astype(np.float16).astype(np.float64)
        np.testing.assert_allclose(answer.content["embedding"], halves, rtol=1e-7)
        whole = embed(service, dimensions=6, headers={EXPECT: SPACE})
        assert said(whole) == (SPACE, "float16", "none", "false")
