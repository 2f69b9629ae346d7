"""A reader of GGUF files, from the format's own documentation; it shares no code with builders/.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 32
SCALARS = {4: "<I", 5: "<i", 6: "<f", 7: "<?"}
STRING, ARRAY = 8, 9
TYPES = {0: "F32", 1: "F16", 8: "Q8_0"}
Q8_0 = np.dtype([("scale", "<f2"), ("numbers", "i1", 32)])


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor of a file."""

    kind: str
    shape: tuple[int, ...]
    """As numpy has it: rows first."""
    content: bytes

    @property
    def blocks(self) -> NDArray[Any]:
        """The blocks of a Q8_0 tensor: `scale` and `numbers`."""
        assert self.kind == "Q8_0"
        return np.frombuffer(self.content, Q8_0)

    @property
    def values(self) -> NDArray[np.float64]:
        """What the stored numbers mean."""
        if self.kind == "Q8_0":
            scales = self.blocks["scale"].astype(np.float64)
            scaled: NDArray[np.float64] = scales[:, None] * self.blocks["numbers"]
            return scaled.reshape(self.shape)
        plain = np.frombuffer(self.content, {"F32": "<f4", "F16": "<f2"}[self.kind])
        return plain.astype(np.float64).reshape(self.shape)


@dataclass(frozen=True, kw_only=True)
class Gguf:
    """A file's keys and tensors, in the file's order."""

    keys: dict[str, Any]
    tensors: dict[str, Stored]


class _Cursor:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def take(self, layout: str) -> Any:
        values = struct.unpack_from(layout, self.content, self.at)
        self.at += struct.calcsize(layout)
        return values[0]

    def text(self) -> str:
        length = self.take("<Q")
        self.at += length
        return self.content[self.at - length : self.at].decode()

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            item, count = self.take("<I"), self.take("<Q")
            return [self.value(item) for _ in range(count)]
        return self.take(SCALARS[kind])


def read(content: bytes) -> Gguf:
    """Read a file, and check what the format demands of offsets and padding."""
    cursor = _Cursor(content)
    assert content[:4] == b"GGUF"
    assert cursor.take("<4xI") == 3
    tensor_count, key_count = cursor.take("<Q"), cursor.take("<Q")
    keys: dict[str, Any] = {}
    for _ in range(key_count):
        name = cursor.text()
        assert name not in keys
        keys[name] = cursor.value(cursor.take("<I"))
    places: dict[str, tuple[tuple[int, ...], str, int]] = {}
    for _ in range(tensor_count):
        name = cursor.text()
        assert name not in places
        lengths = [cursor.take("<Q") for _ in range(cursor.take("<I"))]
        places[name] = (tuple(reversed(lengths)), TYPES[cursor.take("<I")], cursor.take("<Q"))
    start = _aligned(cursor.at)
    assert not any(content[cursor.at : start])
    end = 0
    tensors = {}
    for name, (shape, kind, offset) in places.items():
        assert offset == _aligned(end)
        end = offset + _size(shape, kind)
        numbers = content[start + offset : start + end]
        tensors[name] = Stored(kind=kind, shape=shape, content=numbers)
        assert not any(content[start + end : start + _aligned(end)])
    assert len(content) == start + _aligned(end)
    return Gguf(keys=keys, tensors=tensors)


def _size(shape: tuple[int, ...], kind: str) -> int:
    numbers = int(np.prod(shape))
    return numbers // 32 * 34 if kind == "Q8_0" else numbers * {"F32": 4, "F16": 2}[kind]


def _aligned(place: int) -> int:
    return (place + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
