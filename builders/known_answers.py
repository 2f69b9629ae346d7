"""Known answers: vectors that others have published, held against those of a container.

Every other comparison is of vectors that were made here: all of them may share a mistake in the
weights, the tokenizer or the recipe. What somebody else has published shares none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from builders.check import Check
from builders.corpus import Text
from builders.matrix import KnownAnswer, Model
from builders.vectors import Vectors

PREFIX = "known-answer:"
"""What the ids of the texts and the names of the checks begin with."""


def texts(model: Model) -> tuple[Text, ...]:
    """Return what to ask a service that serves a model, which puts the default prompt before it."""
    prefix = "" if model.default_prompt is None else model.prompts[model.default_prompt]
    return tuple(
        Text(id=f"{PREFIX}{name}", text=answer.text.removeprefix(prefix), emulated=True)
        for name, answer in model.known_answers.items()
    )


def checks(model: Model, answered: Vectors) -> tuple[Check, ...]:
    """Hold a service's vectors of `texts` against the published ones.

    Args:
        model: Whose known answers.
        answered: The vectors of at least these texts.
    """
    return tuple(
        _check(name, answer, answered.matrix[answered.ids.index(f"{PREFIX}{name}")])
        for name, answer in model.known_answers.items()
    )


def difference(answer: KnownAnswer, vector: NDArray[np.float32]) -> float:
    """Return the largest difference of a number, of vectors of unit length, in float64.

    Where the published vector's length is unknown, its first numbers and the vector's are scaled
    to unit length by themselves.
    """
    published = np.array(answer.values, dtype=np.float64)
    found = vector.astype(np.float64)
    if answer.length is None:
        expected = published / np.linalg.norm(published)
        found = found[: published.size] / np.linalg.norm(found[: published.size])
    else:
        expected = published / answer.length
        found = found[: published.size] / np.linalg.norm(found)
    return float(np.abs(expected - found).max())


def _check(name: str, answer: KnownAnswer, vector: NDArray[np.float32]) -> Check:
    figure = difference(answer, vector)
    return Check(
        name=f"{PREFIX}{name}",
        passed=figure <= answer.tolerance,  # not so of NaN
        figure=figure,
        limit=answer.tolerance,
        details=(answer.published,),
    )
