"""The exact answers of the fixtures, computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builders import corpus as corpora
from builders import exact_answers, fixture
from builders.corpus import Corpus
from builders.exact_answers import Document
from builders.matrix import Format, Matrix, Model
from builders.paths import ROOT
from builders.space import vector_space
from tests.exact import nomic, siglip, texts

ALSO = (
    "accents-nfd",
    "empty",
    "hangul-nfd",
    "long-english",
    "prompt-special-tokens",
    "repeated-word",
)
"""Texts that are answered beside those for emulated containers."""

IMAGES = ("image-gradient", "image-pixel", "image-stripes-palette")
"""Images that are answered: opaque ones whose decoding loses nothing. (The others are held against
what this host makes of them.)"""

Encoder = Callable[[Path, Model, Corpus], list[NDArray[np.float64]]]

ENCODERS: Mapping[Format, Encoder] = {
    "sentence-transformers": texts.vectors,
    "transformers": siglip.vectors,
    "remote-code": nomic.vectors,
}
"""What computes the vectors of a corpus, by the format of the checkpoint."""


def models(matrix: Matrix) -> Iterator[tuple[str, Model]]:
    """Yield the fixtures of the matrix, one for each vector space, with its name."""
    seen: set[str] = set()
    for name, model in matrix.models.items():
        space = vector_space(model)
        if is_answered(model) and space not in seen:
            seen.add(space)
            yield name, model


def is_answered(model: Model) -> bool:
    """Say whether a model is a fixture: all are computed here."""
    return model.source.startswith("fixture:")


def answered(model: Model) -> Corpus:
    """Return what of the corpus has exact answers."""
    whole = corpora.committed(ROOT, model)
    chosen = {*(text.id for text in whole.texts if text.emulated), *ALSO}
    return Corpus(
        texts=tuple(text for text in whole.texts if text.id in chosen),
        images=tuple(image for image in whole.images if image.id in IMAGES),
    )


def checkpoint(model: Model, directory: Path) -> Path:
    """Write a fixture's source weights into a directory that is not there yet; return it."""
    name = model.source.removeprefix("fixture:")
    fixture.write(name, _form(name), directory)
    return directory


def compute(model: Model, written: Path, corpus: Corpus) -> Document:
    """Return the exact answers of a fixture.

    Args:
        model: The fixture.
        written: Its checkpoint.
        corpus: What it is asked.
    """
    encoder = ENCODERS[_form(model.source.removeprefix("fixture:"))]
    return exact_answers.document(vector_space(model), corpus, encoder(written, model, corpus))


def _form(name: str) -> Format:
    """Return the format of a fixture that an encoder here reads."""
    formats = fixture.fixture(name).formats
    return next(form for form in ENCODERS if form in formats)
