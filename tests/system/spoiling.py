"""What can be wrong with a model directory. Its files may be links: each is written anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builders.fixture import safetensors
from tests.exact.encoder import read_safetensors

Spoil = Callable[[Path], object]
Tensors = dict[str, NDArray[np.float32]]


def write(path: Path, content: bytes) -> None:
    """Write a file, and not into another directory's that it is a link to."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def tensors(change: Callable[[Tensors], object], file: str = "model.safetensors") -> Spoil:
    """Return what changes a model's tensors."""

    def spoil(model: Path) -> None:
        content = read_safetensors(model / file)
        change(content)
        write(model / file, b"".join(safetensors.chunks(content)))

    return spoil


def keys(file: str, **changes: Any) -> Spoil:
    """Return what changes the keys of a JSON file; None takes one out."""

    def spoil(model: Path) -> None:
        document = {**json.loads((model / file).read_bytes()), **changes}
        kept = {key: value for key, value in document.items() if value is not None}
        write(model / file, json.dumps(kept).encode())

    return spoil


def pickled(model: Path) -> None:
    """Give the weights the name of a pickle."""
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
