"""Vectors of a corpus, read from the document that the service's commands write."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders.errors import ReferenceVectorsError

MOST_IDS = 10
"""How many texts an error names."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Vectors:
    """A corpus's vectors, with what made them.

    Attributes:
        ids: The texts, a row each.
        matrix: float32 of shape (texts, dimension), read-only, finite, and no row is zero.
        model: The model's name.
        vector_space: "sha256:" and 64 hexadecimal digits.
        precision: Of the weights, such as "float32".
        backend: The backend's name.
        libraries: The versions of the libraries that decide the vectors.
        architecture: Of the processor, as `uname -m` names it.
        batch_size: How many texts were embedded at a time.
    """

    ids: tuple[str, ...]
    matrix: NDArray[np.float32]
    model: str
    vector_space: str
    precision: str
    backend: str
    libraries: Mapping[str, str]
    architecture: str
    batch_size: int


def read(path: Path, ids: Sequence[str]) -> Vectors:
    """Read a vector document from a file.

    Args:
        path: The file, of this host or of another.
        ids: The corpus's texts in their order: the document must hold the same.

    Raises:
        ReferenceVectorsError: See `parse`, or the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReferenceVectorsError(
            f"the vectors cannot be read: {error.strerror}",
            where=str(path),
            remedy="`python -m embedding_service.vectors` writes such a file",
        ) from error
    return parse(content, ids, where=str(path))


def parse(content: bytes | str, ids: Sequence[str], *, where: str) -> Vectors:
    """Read a vector document.

    Args:
        content: The JSON document.
        ids: The corpus's texts in their order: the document must hold the same.
        where: What errors name as its origin.

    Raises:
        ReferenceVectorsError: It is malformed, holds other texts, or vectors that are not of the
            declared dimension, not finite, or of length 0. The message names the texts.
    """
    try:
        document = _Document.model_validate_json(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'document'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ReferenceVectorsError(
            f"not a vector document: {problems}",
            where=where,
            remedy="make the vectors anew with this checkout's service",
        ) from error
    _refuse_other_texts(tuple(document.vectors), tuple(ids), where=where)
    return Vectors(
        ids=tuple(ids),
        matrix=_matrix(document, where=where),
        model=document.model,
        vector_space=document.vector_space,
        precision=document.precision,
        backend=document.backend,
        libraries=document.libraries,
        architecture=document.architecture,
        batch_size=document.batch_size,
    )


def of(vectors: Vectors, ids: Collection[str]) -> Vectors:
    """Return the vectors of those texts that are among `ids`, in their order."""
    rows = [row for row, identifier in enumerate(vectors.ids) if identifier in ids]
    return replace(
        vectors, ids=tuple(vectors.ids[row] for row in rows), matrix=vectors.matrix[rows]
    )


class _Document(BaseModel):
    """The document; images/service/embedding_service/document.py describes its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    backend: str = Field(min_length=1)
    libraries: Mapping[str, str]
    model: str = Field(min_length=1)
    dimension: int = Field(gt=0)
    vector_space: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    precision: str = Field(min_length=1)
    architecture: str = Field(min_length=1)
    batch_size: int = Field(gt=0)
    vectors: Mapping[str, str] = Field(min_length=1)


def _refuse_other_texts(found: tuple[str, ...], expected: tuple[str, ...], *, where: str) -> None:
    if found == expected:
        return
    lacking = [identifier for identifier in expected if identifier not in set(found)]
    unknown = [identifier for identifier in found if identifier not in set(expected)]
    differences = (
        *([f"it lacks {_named(lacking)}"] if lacking else []),
        *([f"the corpus does not know {_named(unknown)}"] if unknown else []),
    )
    raise ReferenceVectorsError(
        f"vectors of other texts: {'; '.join(differences) or 'they are in another order'}",
        where=where,
        remedy="make the vectors anew from this corpus",
    )


def _matrix(document: _Document, *, where: str) -> NDArray[np.float32]:
    """Return the vectors as rows, in the document's order."""
    rows = {identifier: _row(text) for identifier, text in document.vectors.items()}
    unusable = [
        f"{identifier} ({problem})"
        for identifier, row in rows.items()
        if (problem := _problem(row, document.dimension))
    ]
    if unusable:
        raise ReferenceVectorsError(
            f"unusable vectors: {_named(unusable)}",
            where=where,
            remedy=f"look at what {document.backend} makes of these texts",
        )
    matrix = np.stack(list(rows.values())).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _row(text: str) -> NDArray[np.float32]:
    """Decode little-endian float32 values; none where they are not such."""
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    except (binascii.Error, ValueError):
        return np.empty(0, dtype=np.float32)


def _problem(row: NDArray[np.float32], dimension: int) -> str | None:
    if row.size == 0:
        return "not float32 values in base64"
    if row.size != dimension:
        return f"{row.size} dimensions instead of {dimension}"
    if not np.isfinite(row).all():
        return "NaN or infinity"
    if not row.any():
        return "length 0"
    return None


def _named(ids: Sequence[str]) -> str:
    more = len(ids) - MOST_IDS
    return ", ".join(ids[:MOST_IDS]) + (f" and {more} more" if more > 0 else "")
