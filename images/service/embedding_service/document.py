"""The vector document: a corpus's vectors, with what made them."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class VectorDocument:
    """What `vectors` and `client embed` write, as one JSON object with these keys.

    Attributes:
        backend: The backend's name.
        libraries: The versions of the libraries that decide the vectors.
        model: The model's name.
        dimension: The length of each vector.
        vector_space: "sha256:" and 64 hexadecimal digits.
        precision: Of the weights, such as "float32".
        architecture: Of the processor, as `uname -m` names it.
        batch_size: How many texts were embedded at a time.
        vectors: By the text's id, in the corpus's order: the vector's little-endian float32
            values, in base64.
    """

    backend: str
    libraries: Mapping[str, str]
    model: str
    dimension: int
    vector_space: str
    precision: str
    architecture: str
    batch_size: int
    vectors: Mapping[str, str]


def encoded(values: bytes) -> str:
    """Return a vector's little-endian float32 values as they stand in a document."""
    return base64.b64encode(values).decode("ascii")


def write(document: VectorDocument, path: Path | None) -> None:
    """Write a document to a file, or to standard output."""
    text = json.dumps(asdict(document), indent=1) + "\n"
    if path is None:
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8")
