"""Published vectors against a container's: which differences are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from builders import known_answers, matrix
from builders.matrix import KnownAnswer, Model
from builders.vectors import Vectors
from tests.unit.test_parity import made

PLAIN = matrix.load(Path(__file__).with_name("matrix.yaml")).models["fixture-768"]
RAW = np.array([0.3, -1.2, 2.0, 0.7, -0.4, 1.1])
"""A vector as a library gives it, before it is scaled."""
SERVED = (RAW / np.linalg.norm(RAW)).astype(np.float32)


def answer(**changes: Any) -> dict[str, Any]:
    usual = {
        "published": "a library's tests",
        "text": "search_query: what is it?",
        "values": tuple(float(value) for value in RAW[:4]),
        "length": float(np.linalg.norm(RAW)),
        "tolerance": 1e-6,
    }
    return {**usual, **changes}


def model(*answers: dict[str, Any], **changes: Any) -> Model:
    named = {f"answer-{number}": each for number, each in enumerate(answers)}
    return Model.model_validate({**PLAIN.model_dump(), **changes, "known_answers": named})


def figure(vector: NDArray[np.float32], **changes: Any) -> float:
    return known_answers.difference(KnownAnswer.model_validate(answer(**changes)), vector)


def vectors(*rows: NDArray[np.float32]) -> Vectors:
    named = made(np.stack(rows))
    ids = ("other", *(f"known-answer:answer-{number}" for number in range(len(rows) - 1)))
    return Vectors(**{**vars(named), "ids": ids})


def test_a_published_vector_that_was_not_scaled() -> None:
    assert figure(SERVED) < 1e-7


def test_a_published_unit_vector() -> None:
    unit = tuple(float(value) for value in SERVED[:4])
    assert figure(SERVED, values=unit, length=1.0) < 1e-7


def test_a_service_that_does_not_scale() -> None:
    assert figure(RAW.astype(np.float32)) < 1e-7


def test_a_published_vector_of_unknown_length_is_compared_by_its_proportions() -> None:
    assert figure(SERVED, length=None) < 1e-7
    assert figure(-SERVED, length=None) > 0.1
    assert figure(SERVED[[1, 0, 2, 3, 4, 5]], length=None) > 0.1


@pytest.mark.parametrize("length", [float(np.linalg.norm(RAW)), None])
def test_one_altered_number_is_seen(length: float | None) -> None:
    for place in range(4):
        values = [float(value) for value in RAW[:4]]
        values[place] += 0.01
        assert figure(SERVED, values=tuple(values), length=length) > 1e-4


def test_what_follows_the_published_numbers_is_seen_by_the_length() -> None:
    other = SERVED.copy()
    other[5] *= 3
    assert figure(other) > 0.01
    assert figure(other, length=None) < 1e-7


def test_a_check_for_each_answer() -> None:
    asked = model(answer(), answer(tolerance=0.5, published="another"))
    right, wrong = known_answers.checks(asked, vectors(RAW, SERVED, -SERVED))
    assert (right.name, right.passed, right.limit) == ("known-answer:answer-0", True, 1e-6)
    assert right.details == ("a library's tests",)
    assert (wrong.name, wrong.passed, wrong.limit) == ("known-answer:answer-1", False, 0.5)
    assert wrong.figure == pytest.approx(2 * abs(float(SERVED[2])))


def test_a_number_beyond_the_tolerance_fails() -> None:
    moved = SERVED.copy()
    moved[0] += 1e-5
    (check,) = known_answers.checks(model(answer()), vectors(RAW, moved))
    assert not check.passed
    assert check.figure == pytest.approx(1e-5, rel=0.1)


def test_no_answers_no_checks() -> None:
    assert known_answers.texts(model()) == ()
    assert known_answers.checks(model(), vectors(RAW)) == ()


def test_the_service_puts_the_default_prompt_before_it_itself() -> None:
    (text,) = known_answers.texts(model(answer(), default_prompt="query"))
    assert (text.id, text.text) == ("known-answer:answer-0", "what is it?")
    (whole,) = known_answers.texts(model(answer()))
    assert whole.text == "search_query: what is it?"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"text": "what is it?"},
            "the text of answer-0 lacks the default prompt, 'search_query: '",
        ),
        ({"values": (0.1,) * 769}, "more values than a vector has numbers"),
        ({"values": (0.0, 0.0, 0.0)}, "are all 0"),
        ({"values": (0.1, 0.2)}, "at least 3 items"),
        ({"length": 0.0}, "greater than 0"),
        ({"tolerance": 0.0}, "greater than 0"),
    ],
)
def test_what_cannot_be_asked_or_compared_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model(answer(**change), default_prompt="query")


def test_a_model_of_images_has_no_texts_to_ask() -> None:
    with pytest.raises(ValidationError, match="known answers are of texts"):
        model(answer(), inputs=("image",))
