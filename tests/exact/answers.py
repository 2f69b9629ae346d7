"""The exact answers of the fixtures, computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builders import corpus as corpora
from builders import exact_answers, fixture
from builders.corpus import Corpus
from builders.exact_answers import Document
from builders.fixture.encoder import TextEncoder
from builders.matrix import Matrix, Model
from builders.paths import ROOT
from builders.space import vector_space
from tests.exact import texts

ALSO = (
    "accents-nfd",
    "empty",
    "hangul-nfd",
    "long-english",
    "prompt-special-tokens",
    "repeated-word",
)
"""Texts that are answered beside those for emulated containers."""


def models(matrix: Matrix) -> Iterator[tuple[str, Model]]:
    """Yield the text encoders among the fixtures, one for each vector space, with its name."""
    seen: set[str] = set()
    for name, model in matrix.models.items():
        space = vector_space(model)
        if is_answered(model) and space not in seen:
            seen.add(space)
            yield name, model


def is_answered(model: Model) -> bool:
    """Say whether a model is a fixture whose definition is known here: a text encoder."""
    name = model.source.removeprefix("fixture:")
    return name != model.source and isinstance(fixture.fixture(name), TextEncoder)


def answered() -> Corpus:
    """Return the texts that have exact answers."""
    whole = corpora.read(ROOT / corpora.COMMITTED)
    chosen = {*whole.emulated().ids, *ALSO}
    return Corpus(texts=tuple(text for text in whole.texts if text.id in chosen))


def checkpoint(model: Model, directory: Path) -> Path:
    """Write a fixture's source weights into a directory that is not there yet; return it."""
    fixture.write(model.source.removeprefix("fixture:"), "sentence-transformers", directory)
    return directory


def compute(model: Model, written: Path, corpus: Corpus) -> Document:
    """Return the exact answers of a fixture.

    Args:
        model: The fixture.
        written: Its checkpoint.
        corpus: What it is asked.
    """
    rows = texts.vectors(written, model, [text.text for text in corpus.texts])
    return exact_answers.document(vector_space(model), corpus, rows)
