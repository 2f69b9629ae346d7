"""A container's vectors are held against everything there is, and each comparison can fail."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from builders import comparison, exact_answers, known_answers, plan, project
from builders import corpus as corpora
from builders.check import Check
from builders.plan import Cell
from builders.smoke import Proof
from builders.space import vector_space
from builders.vectors import Vectors
from tests.unit.test_parity import made

CHECKOUT = project.load()
MODEL = CHECKOUT.matrix.models["fixture-768"]
CORPUS = corpora.committed(CHECKOUT.root, MODEL)
ASKED = (*CORPUS.ids, *(text.id for text in known_answers.texts(MODEL)))
KNOWN = f"{known_answers.PREFIX}definition"


def cell(backend: str = "onnxruntime", model: str = "fixture-768") -> Cell:
    return plan.cell(CHECKOUT.matrix, backend, model, "linux/amd64")


def right() -> NDArray[np.float64]:
    """Unit vectors of all that is asked: the exact ones, the published one, and any others."""
    rows = np.random.default_rng(1).standard_normal((len(ASKED), MODEL.dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    directory = CHECKOUT.root / exact_answers.COMMITTED
    exact = exact_answers.find(directory, CORPUS, vector_space(MODEL))
    assert exact is not None
    rows[[ASKED.index(identifier) for identifier in exact.ids]] = exact.matrix
    answer = MODEL.known_answers["definition"]
    published = np.array(answer.values) / (answer.length or 1)
    rest = rows[-1, len(published) :]
    rest *= np.sqrt(1 - (published**2).sum()) / np.linalg.norm(rest)
    rows[-1, : len(published)] = published
    return rows


RIGHT = right()


def served(rows: NDArray[np.float64]) -> Vectors:
    return dataclasses.replace(made(rows), ids=ASKED, vector_space=vector_space(MODEL))


def compared(
    alone: NDArray[np.float64],
    *,
    batched: NDArray[np.float64] | None = None,
    other: NDArray[np.float64] | None = None,
) -> dict[str, Check]:
    """The checks of a container whose vectors are right but for what is given."""
    proof = Proof(
        checks=(),
        alone=served(alone),
        batched=served(alone if batched is None else batched),
        seconds={},
    )
    found = comparison.checks(
        CHECKOUT,
        cell(),
        proof,
        reference=served(RIGHT),
        other=None if other is None else served(other),
    )
    return {check.name: check for check in found}


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if not check.passed}


def test_right_vectors_pass_every_comparison() -> None:
    checks = compared(RIGHT, other=RIGHT)
    assert failed(checks) == set()
    assert {name.rpartition(":")[0] for name in checks} == {
        *("parity", "batch-invariance", "cross-backend:onnxruntime", "exact", "known-answer"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short-case", {"parity:max-abs-difference", "exact:max-abs-difference"}),
        ("url", {"parity:max-abs-difference"}),  # has no exact answer
        (KNOWN, {KNOWN}),  # is no text of the corpus
    ],
)
def test_a_text_whose_vector_moved_fails_what_knows_better(text: str, expected: set[str]) -> None:
    rows = RIGHT.copy()
    rows[ASKED.index(text), 0] += 5e-5
    assert failed(compared(rows)) == expected


def test_a_vector_that_moves_in_a_batch_fails() -> None:
    rows = RIGHT.copy()
    rows[0, 0] += 5e-5
    assert failed(compared(RIGHT, batched=rows)) == {"batch-invariance:max-abs-difference"}


def test_vectors_that_are_another_backends_fail() -> None:
    rows = RIGHT.copy()
    rows[ASKED.index("url"), 0] += 5e-5
    expected = {"cross-backend:onnxruntime:max-abs-difference"}
    assert failed(compared(RIGHT, other=rows)) == expected


def test_an_apis_reference_is_made_with_other_libraries_and_held_to_the_same_gates() -> None:
    def judged(asked: Cell, alone: NDArray[np.float64]) -> dict[str, Check]:
        reference = dataclasses.replace(served(RIGHT), libraries={"onnxruntime": "1"})
        proof = Proof(checks=(), alone=served(alone), batched=served(alone), seconds={})
        found = comparison.checks(CHECKOUT, asked, proof, reference=reference, other=None)
        return {check.name: check for check in found}

    api = cell("openai", "fixture-768-api")
    assert failed(judged(cell(), RIGHT)) == {"parity:libraries"}
    assert failed(judged(api, RIGHT)) == set()
    moved = RIGHT.copy()
    moved[ASKED.index("url"), 0] += 5e-5
    assert failed(judged(api, moved)) == {"parity:max-abs-difference"}


def test_a_space_without_exact_answers_is_not_judged_by_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exact_answers, "COMMITTED", exact_answers.COMMITTED / "none")
    assert not [name for name in compared(RIGHT) if name.startswith("exact")]
