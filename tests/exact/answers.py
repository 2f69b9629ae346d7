"""The exact answers of the fixtures, computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builders import corpus as corpora
from builders import exact_answers, fixture
from builders.corpus import Corpus
from builders.exact_answers import Document
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
    """Yield the fixtures of the matrix, one for each vector space, with its name."""
    seen: set[str] = set()
    for name, model in matrix.models.items():
        space = vector_space(model)
        if model.source.startswith("fixture:") and space not in seen:
            seen.add(space)
            yield name, model


def answered() -> Corpus:
    """Return the texts that have exact answers."""
    whole = corpora.read(ROOT / corpora.COMMITTED)
    chosen = {*whole.emulated().ids, *ALSO}
    return Corpus(texts=tuple(text for text in whole.texts if text.id in chosen))


def compute(model: Model, scratch: Path, corpus: Corpus) -> Document:
    """Return the exact answers of a fixture.

    Args:
        model: The fixture.
        scratch: A directory that is not there yet.
        corpus: What it is asked.
    """
    fixture.write(model.source.removeprefix("fixture:"), "sentence-transformers", scratch)
    rows = texts.vectors(scratch, model, [text.text for text in corpus.texts])
    return exact_answers.document(vector_space(model), corpus, rows)
