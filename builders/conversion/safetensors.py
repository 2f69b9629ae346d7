"""Reading the safetensors format: https://github.com/huggingface/safetensors#format."""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builders.conversion.architecture import Shape
from builders.errors import ModelError

_LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""

_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
"""Bytes of a number, by its type."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor as it is stored."""

    kind: str
    """`F32`, `BF16`, …"""
    shape: Shape
    content: memoryview

    def numbers(self) -> NDArray[np.float32]:
        """Return its numbers as float32: the same ones, which float16 and bfloat16 fit in.

        Raises:
            ModelError: They are of a type that float32 does not hold.
        """
        if self.kind == "F32":
            flat = np.frombuffer(self.content, dtype="<f4")
        elif self.kind == "F16":
            flat = np.frombuffer(self.content, dtype="<f2").astype("<f4")
        elif self.kind == "BF16":  # the upper half of a float32
            flat = (np.frombuffer(self.content, dtype="<u2").astype("<u4") << 16).view("<f4")
        else:
            raise ModelError(f"numbers of type {self.kind} are not converted")
        return flat.reshape(self.shape)


def read(path: Path, *, where: str) -> Mapping[str, Stored]:
    """Return every tensor of a file by its name; the numbers are read when they are used.

    Args:
        path: The file.
        where: What errors call it.

    Raises:
        ModelError: It is not a file of this format: a pickle, or cut off.
    """
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        length = int.from_bytes(content[:8], "little")
        header: dict[str, Any] = json.loads(bytes(content[8 : 8 + min(length, _LONGEST_HEADER)]))
        header.pop("__metadata__", None)
        numbers = content[8 + length :]
        return {name: _stored(name, entry, numbers) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"not a whole safetensors file ({error})",
            where=where,
            remedy="a pickle (pytorch_model.bin) is never opened: it may run any program; get the"
            " model's safetensors",
        ) from error
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=where) from error


def _stored(name: str, entry: dict[str, Any], numbers: memoryview) -> Stored:
    shape = tuple(int(length) for length in entry["shape"])
    begin, end = entry["data_offsets"]
    size = math.prod(shape) * _SIZES[entry["dtype"]]
    if not 0 <= begin <= end <= len(numbers) or end - begin != size:
        raise ValueError(f"{name} is not where the header says")
    return Stored(kind=entry["dtype"], shape=shape, content=numbers[begin:end])
