"""Exact answers: what an independent float64 implementation makes of some of the corpus.

Two backends that agree with each other may be wrong together, and how far two approximations are
from each other does not say how far one is from the truth. So the answers of the fixtures are
computed from the definition of their architecture, in float64, with nothing of the backends
(`python -m tests.exact.write`), and each container's vectors are held against them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders import parity
from builders.check import Check
from builders.corpus import Corpus
from builders.errors import ReferenceVectorsError
from builders.files import sha256_of
from builders.matrix import Tolerance
from builders.vectors import Vectors

COMMITTED = Path("tests", "corpus", "exact")
"""Where they are in the checkout: a file for each vector space."""

REMEDY = "`python -m tests.exact.write` makes them anew"


@dataclass(frozen=True, kw_only=True, eq=False)
class Exact:
    """The exact vectors of some texts in one vector space.

    Attributes:
        ids: The texts, a row each.
        matrix: float64 of shape (texts, dimension), as the recipe serves them.
    """

    ids: tuple[str, ...]
    matrix: NDArray[np.float64]


class Document(BaseModel):
    """A file of exact answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    vector_space: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    corpus: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The digest of the corpus of these texts alone."""
    dimension: int = Field(gt=0)
    vectors: Mapping[str, str] = Field(min_length=1)
    """By the text's id: little-endian float64 values, in base64."""


def find(directory: Path, corpus: Corpus, vector_space: str) -> Exact | None:
    """Return the exact answers of a vector space; None if there are none.

    Args:
        directory: Where the files are.
        corpus: The texts; they must still be those that were answered.
        vector_space: `sha256:…`.

    Raises:
        ReferenceVectorsError: A file is malformed, or answers texts that the corpus does not hold.
    """
    for path in _files(directory):
        document = _read(path)
        if document.vector_space == vector_space:
            return _exact(document, corpus, where=str(path))
    return None


def digests(directory: Path) -> Mapping[str, str]:
    """Return the sha256 of every file, by its name."""
    return {path.name: sha256_of(path) for path in _files(directory)}


def checks(exact: Exact, found: Vectors, tolerance: Tolerance) -> tuple[Check, ...]:
    """Tell how far vectors are from the exact ones, against the limits.

    Raises:
        ReferenceVectorsError: None of the vectors' texts has an exact answer.
    """
    ids = [identifier for identifier in found.ids if identifier in exact.ids]
    if not ids:
        raise ReferenceVectorsError(
            "none of the texts has an exact answer",
            where=f"{found.backend} with {found.model}",
            remedy=REMEDY,
        )
    return parity.moved(
        exact.matrix[[exact.ids.index(identifier) for identifier in ids]],
        found.matrix[[found.ids.index(identifier) for identifier in ids]].astype(np.float64),
        tolerance,
        ids,
        name="exact",
    )


def document(vector_space: str, corpus: Corpus, vectors: Sequence[NDArray[np.float64]]) -> Document:
    """Return the file of exact answers of a corpus, in its order."""
    encoded = [base64.b64encode(vector.astype("<f8").tobytes()).decode() for vector in vectors]
    return Document(
        vector_space=vector_space,
        corpus=corpus.digest,
        dimension=len(vectors[0]),
        vectors=dict(zip(corpus.ids, encoded, strict=True)),
    )


def _files(directory: Path) -> tuple[Path, ...]:
    return tuple(sorted(directory.glob("*.json")))


def _read(path: Path) -> Document:
    try:
        return Document.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ReferenceVectorsError(
            f"not a file of exact answers: {error}", where=str(path), remedy=REMEDY
        ) from error


def _exact(document: Document, corpus: Corpus, *, where: str) -> Exact:
    ids = tuple(document.vectors)
    answered = Corpus(
        texts=tuple(text for text in corpus.texts if text.id in document.vectors),
        images=tuple(image for image in corpus.images if image.id in document.vectors),
    )
    if (answered.ids, answered.digest) != (ids, document.corpus):
        raise ReferenceVectorsError(
            "the corpus does not hold the inputs whose exact answers these are",
            where=where,
            remedy=REMEDY,
        )
    rows = [np.frombuffer(base64.b64decode(text), "<f8") for text in document.vectors.values()]
    matrix = np.stack(rows)
    if matrix.shape[1] != document.dimension:
        raise ReferenceVectorsError(
            f"{matrix.shape[1]} dimensions instead of {document.dimension}",
            where=where,
            remedy=REMEDY,
        )
    return Exact(ids=ids, matrix=matrix)
