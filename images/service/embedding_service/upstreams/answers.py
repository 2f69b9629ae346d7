"""Answers of OpenAI's interface for embeddings, as vectors: nothing in them is believed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedding_service.contract import LENGTH_TOLERANCE, Vectors
from embedding_service.recipe import Recipe

LONGEST_CODE = 60


class UnusableAnswerError(Exception):
    """An answer is not what was asked for; the message quotes nothing of it."""


def vectors(body: bytes, recipe: Recipe, *, texts: int) -> Vectors:
    """Return the vectors of an answer, in the order of the texts, of shape (texts, dimension).

    Args:
        body: The answer's.
        recipe: What the vectors are declared to be.
        texts: How many were asked for.

    Raises:
        UnusableAnswerError: It does not hold just these vectors, of the declared dimension, finite,
            and of unit length where that is declared.
    """
    rows = _rows(body, texts)
    for row in rows:
        if row.shape != (recipe.dimension,):
            raise UnusableAnswerError(
                f"makes vectors of {row.size} numbers, where {recipe.dimension} are declared"
            )
    found = np.stack(rows)
    if not np.isfinite(found).all():
        raise UnusableAnswerError("answers with NaN or infinity")
    if recipe.normalize:
        lengths = np.linalg.norm(found.astype(np.float64), axis=1)
        worst = float(lengths[np.abs(lengths - 1).argmax()])
        if abs(worst - 1) > LENGTH_TOLERANCE:
            raise UnusableAnswerError(
                f"answers with a vector of length {worst:.6g}, where unit length is declared"
            )
    return found


def code(body: bytes) -> str | None:
    """Return the code of an error, if there is one: its message may hold texts."""
    try:
        error = json.loads(body)["error"]
        found = error.get("code") or error.get("type")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not isinstance(found, str) or not found.isascii() or len(found) > LONGEST_CODE:
        return None
    return found if found.replace("_", "").replace("-", "").isalnum() else None


def _rows(body: bytes, texts: int) -> list[NDArray[np.float32]]:
    expected = "one vector" if texts == 1 else f"{texts} vectors"
    try:
        items: list[Mapping[str, Any]] = json.loads(body)["data"]
        return [_numbers(item["embedding"]) for item in _in_order(items, texts)]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as e:
        raise UnusableAnswerError(f"answers with something else than {expected}") from e


def _in_order(items: Sequence[Mapping[str, Any]], texts: int) -> Sequence[Mapping[str, Any]]:
    """Return what each text got; where it is not said, the items are in the texts' order."""
    places = [item.get("index", place) for place, item in enumerate(items)]
    if any(type(place) is not int for place in places) or sorted(places) != list(range(texts)):
        raise ValueError("not one for each text")
    return [item for _, item in sorted(zip(places, items, strict=True), key=lambda each: each[0])]


def _numbers(found: object) -> NDArray[np.float32]:
    if isinstance(found, str):
        decoded = np.frombuffer(base64.b64decode(found, validate=True), "<f4")
        return decoded.astype(np.float32)
    if not isinstance(found, list) or any(type(each) not in (int, float) for each in found):
        raise TypeError("not numbers")  # true is an int, too
    with np.errstate(over="ignore"):  # what is too large for float32 is found as infinity
        return np.array([float(each) for each in found], np.float64).astype(np.float32)
