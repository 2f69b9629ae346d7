"""The exact answers are those of the definition, and backends are judged by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from builders import corpus as corpora
from builders import exact_answers, known_answers, matrix
from builders.corpus import Corpus
from builders.errors import ReferenceVectorsError
from builders.exact_answers import Exact
from builders.matrix import Model, Tolerance
from builders.paths import ROOT
from builders.space import vector_space
from builders.vectors import Vectors
from tests.exact import answers
from tests.exact.answers import checkpoint, compute
from tests.unit.test_parity import made

MATRIX = matrix.load(ROOT / "matrix.yaml")
MODELS = dict(answers.models(MATRIX))
CORPUS = corpora.read(ROOT / corpora.COMMITTED)
DIRECTORY = ROOT / exact_answers.COMMITTED
TOLERANCE = Tolerance(max_abs_difference=1e-5, distance=1e-4, overlap_at_10=1.0)
BEYOND_ROUNDING = 1e-13
"""Sums in another order, on another processor, differ by less."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    scratch = tmp_path_factory.mktemp("checkpoints")
    return {name: checkpoint(model, scratch / name) for name, model in MODELS.items()}


def computed(model: Model, written: Path, corpus: Corpus, directory: Path) -> Exact:
    """Compute, write and read the exact answers of a corpus."""
    (directory / "new.json").write_text(compute(model, written, corpus).model_dump_json())
    exact = exact_answers.find(directory, corpus, vector_space(model))
    assert exact is not None
    return exact


def committed(model: Model) -> Exact:
    corpus = corpora.committed(ROOT, model)
    exact = exact_answers.find(DIRECTORY, corpus, vector_space(model))
    assert exact is not None
    return exact


def served(exact: Exact, matrix: object = None) -> Vectors:
    """What a backend would have answered: the exact vectors, in float32."""
    rows = exact.matrix if matrix is None else matrix
    return dataclasses.replace(made(np.asarray(rows)), ids=exact.ids)


@pytest.mark.parametrize("name", MODELS)
def test_the_committed_answers_are_those_of_the_definition(
    name: str, checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    """If this fails after a change to a fixture or the corpus: `python -m tests.exact.write`."""
    new = computed(MODELS[name], checkpoints[name], answers.answered(MODELS[name]), tmp_path)
    old = committed(MODELS[name])
    assert new.ids == old.ids
    assert np.abs(new.matrix - old.matrix).max() < BEYOND_ROUNDING


def test_every_fixture_in_the_matrix_has_exact_answers() -> None:
    for model in MATRIX.models.values():
        if answers.is_answered(model):
            assert set(committed(model).ids) == set(answers.answered(model).ids)


def test_no_file_answers_for_a_space_that_is_gone() -> None:
    spaces = {vector_space(model) for model in MODELS.values()}
    kept = [
        exact_answers.Document.model_validate_json(file.read_bytes())
        for file in DIRECTORY.iterdir()
    ]
    assert {document.vector_space for document in kept} == spaces
    assert len(kept) == len(spaces)


def test_exact_vectors_pass_with_the_rounding_to_float32_as_figure() -> None:
    exact = committed(MODELS["fixture-768"])
    difference, distance = exact_answers.checks(exact, served(exact), TOLERANCE)
    assert (difference.name, distance.name) == ("exact:max-abs-difference", "exact:distance")
    assert difference.passed
    assert distance.passed
    assert isinstance(difference.figure, float)
    assert 0 < difference.figure < 1e-8
    assert (difference.limit, distance.limit) == (1e-5, 1e-4)


def test_a_number_beyond_the_limit_fails_and_the_text_is_named() -> None:
    exact = committed(MODELS["fixture-768"])
    moved = exact.matrix.copy()
    moved[3, 0] += 1.1e-5
    difference, distance = exact_answers.checks(exact, served(exact, moved), TOLERANCE)
    assert not difference.passed
    assert difference.figure == pytest.approx(1.1e-5, rel=0.01)
    assert difference.details[0].startswith(f"{exact.ids[3]}: ")
    assert distance.passed


def test_vectors_that_are_not_scaled_fail() -> None:
    exact = committed(MODELS["fixture-768"])
    difference, distance = exact_answers.checks(exact, served(exact, 2 * exact.matrix), TOLERANCE)
    assert not difference.passed
    assert distance.passed


def test_a_part_of_the_texts_is_judged_alone() -> None:
    exact = committed(MODELS["fixture-768"])
    whole = served(exact)
    part = dataclasses.replace(whole, ids=("another", whole.ids[2]), matrix=whole.matrix[[0, 2]])
    assert all(check.passed for check in exact_answers.checks(exact, part, TOLERANCE))


def test_texts_without_exact_answers_are_an_error() -> None:
    exact = committed(MODELS["fixture-768"])
    other = dataclasses.replace(served(exact), ids=tuple(f"{text} again" for text in exact.ids))
    with pytest.raises(ReferenceVectorsError, match="none of the texts has an exact answer"):
        exact_answers.checks(exact, other, TOLERANCE)


def test_a_space_without_exact_answers_has_none(tmp_path: Path) -> None:
    assert exact_answers.find(DIRECTORY, CORPUS, f"sha256:{'0' * 64}") is None
    assert exact_answers.find(tmp_path / "none", CORPUS, f"sha256:{'0' * 64}") is None


def test_another_text_under_the_same_id_is_an_error() -> None:
    first = dataclasses.replace(
        answers.answered(MODELS["fixture-768"]).texts[0], text="something else"
    )
    others = [text for text in CORPUS.texts if text.id != first.id]
    changed = Corpus(texts=(first, *others))
    with pytest.raises(ReferenceVectorsError, match="does not hold the inputs"):
        exact_answers.find(DIRECTORY, changed, vector_space(MODELS["fixture-768"]))


def test_a_text_that_is_gone_is_an_error() -> None:
    with pytest.raises(ReferenceVectorsError, match="does not hold the inputs"):
        exact_answers.find(
            DIRECTORY, Corpus(texts=CORPUS.texts[:1]), vector_space(MODELS["fixture-768"])
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [("{}", "not a file of exact answers"), (None, "1 dimensions instead of 2")],
)
def test_a_malformed_file_is_an_error(content: str | None, words: str, tmp_path: Path) -> None:
    corpus = Corpus(texts=CORPUS.texts[:1])
    space = f"sha256:{'0' * 64}"
    document = exact_answers.document(space, corpus, [np.ones(1)])
    text = document.model_copy(update={"dimension": 2}).model_dump_json()
    (tmp_path / "wrong.json").write_text(content or text)
    with pytest.raises(ReferenceVectorsError, match=words):
        exact_answers.find(tmp_path, corpus, space)


def test_the_known_answers_of_the_fixtures_are_those_of_the_definition(
    checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    asked = {name: model for name, model in MODELS.items() if model.known_answers}
    assert set(asked) >= {"fixture-768", "fixture-bert-384"}
    for name, model in asked.items():
        corpus = Corpus(texts=known_answers.texts(model))
        exact = computed(model, checkpoints[name], corpus, tmp_path)
        for check in known_answers.checks(model, served(exact)):
            assert isinstance(check.figure, float)
            assert check.figure < 1e-7


def test_an_altered_number_of_a_known_answer_fails(
    checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    model = MODELS["fixture-768"]
    (name, answer), *_ = model.known_answers.items()
    corpus = Corpus(texts=known_answers.texts(model))
    exact = computed(model, checkpoints["fixture-768"], corpus, tmp_path)
    for place in range(len(answer.values)):
        values = [*answer.values]
        values[place] += 0.0001
        altered = answer.model_copy(update={"values": tuple(values)})
        changed = model.model_copy(update={"known_answers": {name: altered}})
        (check,) = known_answers.checks(changed, served(exact))
        assert not check.passed
        assert check.figure == pytest.approx(0.0001 / (answer.length or 1), rel=0.01)
