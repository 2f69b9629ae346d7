"""The file in which a host's reference vectors travel to other machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders import vectors as documents
from builders.errors import ReferenceVectorsError
from builders.files import write_atomically
from builders.vectors import Vectors

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class MadeFrom:
    """What decides reference vectors, all of it in the checkout, by digest.

    Attributes:
        corpus: The inputs that were embedded.
        model: The model's directory.
        wheels: The lock of the wheels for the host's platform.
        backend: `backend.py`.
        service: The service's package, which calls it.
    """

    corpus: str
    model: str
    wheels: str
    backend: str
    service: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What one host returns for the corpus.

    Attributes:
        cell: `<backend>-<model>-<os>-<arch>`; the backend and the model of the vectors are others
            where an API's model is meant, in whose place the anchor answers.
        platform: The host's.
        processor: As the host's system names it.
        made_from: What decides the vectors.
        vectors: The vector document, as the service writes it.
    """

    cell: str
    platform: str
    processor: str
    made_from: MadeFrom
    vectors: Mapping[str, Any]

    def read(self, ids: Sequence[str]) -> Vectors:
        """Return the vectors.

        Args:
            ids: The corpus's texts and images in their order: the document must hold the same.

        Raises:
            ReferenceVectorsError: They are unusable: see `vectors.parse`.
        """
        return documents.parse(json.dumps(self.vectors), ids, where=f"the vectors of {self.cell}")


def write(path: Path, references: Iterable[Reference]) -> None:
    """Write a file of references: whole, or not at all."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "references": [asdict(reference) for reference in references],
    }
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def read(paths: Iterable[Path]) -> Mapping[str, Reference]:
    """Read files of references.

    Returns:
        The references by their cells' ids.

    Raises:
        ReferenceVectorsError: A file cannot be read, is malformed, or has a cell again.
    """
    found: dict[str, Reference] = {}
    for path in paths:
        for each in _read(path).references:
            if each.cell in found:
                raise ReferenceVectorsError(
                    f"the vectors of {each.cell} are there twice",
                    where=str(path),
                    remedy="name each file once, and one file for each host",
                )
            found[each.cell] = Reference(
                cell=each.cell,
                platform=each.platform,
                processor=each.processor,
                made_from=MadeFrom(**each.made_from.model_dump()),
                vectors=each.vectors,
            )
    return found


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _MadeFrom(_Part):
    corpus: str
    model: str
    wheels: str
    backend: str
    service: str


class _Reference(_Part):
    cell: str = Field(min_length=1)
    platform: str = Field(pattern=r"^[a-z]+/[a-z0-9_]+$")
    processor: str
    made_from: _MadeFrom
    vectors: dict[str, Any]


class _File(_Part):
    schema_version: Literal[1]
    references: list[_Reference] = Field(min_length=1)


def _read(path: Path) -> _File:
    remedy = "`nox -s reference -- --export FILE` writes such a file, on any host"
    try:
        return _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReferenceVectorsError(
            f"the vectors cannot be read: {error.strerror}", where=str(path), remedy=remedy
        ) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'document'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ReferenceVectorsError(
            f"not a file of reference vectors: {problems}", where=str(path), remedy=remedy
        ) from error
