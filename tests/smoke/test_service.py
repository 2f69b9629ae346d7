"""The service answers over HTTP on the container's loopback, with vectors of the right kind."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from builders.smoke.cell import SmokeCell

TEXT = "the fish"  # short: under emulation every token costs

Answers = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def answers(run_inside: Callable[..., list[dict[str, Any]]], cell: SmokeCell) -> Answers:
    refused = json.dumps(dict(cell.refused))
    return {answer["step"]: answer for answer in run_inside("service", TEXT, refused)}


def test_health(answers: Answers, cell: SmokeCell) -> None:
    health = answers["health"]
    assert health["status"] == 200, health["body"]
    expected = {
        "status": "healthy",
        "embedding_model_loaded": True,
        "backend": cell.backend,
        "model": cell.model,
        "dimension": cell.dimension,
        "vector_space": cell.vector_space,
        "precision": cell.precision,
    }
    assert {key: health["body"].get(key) for key in expected} == expected


def test_embedding(answers: Answers, cell: SmokeCell) -> None:
    answer = answers["embed"]
    assert answer["status"] == 200, answer["body"]
    vector = answer["body"]["embedding"]
    assert answer["body"]["model"] == cell.model
    assert answer["body"]["dimension"] == cell.dimension
    assert len(vector) == cell.dimension
    wrong = [number for number in vector if not math.isfinite(number)]
    assert not wrong, f"{len(wrong)} numbers of the vector are not finite: {wrong[0]}"
    length = math.sqrt(sum(number * number for number in vector))
    if cell.normalize:
        assert abs(length - 1) < 1e-5, f"the vector's length is {length}"
    else:
        assert length > 0


def test_refused_texts(answers: Answers, cell: SmokeCell) -> None:
    """What the backend would embed wrongly is refused, as matrix.yaml says (`refused_texts`)."""
    found = {identifier: answers[f"refused {identifier}"] for identifier in cell.refused}
    embedded = [name for name, answer in found.items() if answer["status"] not in (413, 422)]
    assert not embedded, f"embedded, or failed otherwise: {', '.join(embedded)}"
