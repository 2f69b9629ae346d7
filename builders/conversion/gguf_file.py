"""The GGUF file format, version 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

Written by hand, as far as an encoder needs it, so that no library's version decides a byte: keys,
then what tensors there are, then their numbers, each tensor at a multiple of 32 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builders.conversion.quantisation import Chunk, Encoding, Numbers

Value = bool | int | float | str | tuple[int, ...] | tuple[str, ...]
"""Stored as BOOL, UINT32, FLOAT32, STRING, or an ARRAY of INT32 or STRING."""

_VERSION = 3
_ALIGNMENT = 32
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor and how its numbers are stored."""

    name: str
    values: Numbers
    encoding: Encoding

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return self.encoding.size(self.values.shape)


def chunks(keys: Mapping[str, Value], tensors: Sequence[Tensor]) -> Iterator[Chunk]:
    """Yield the bytes of a file, in pieces: a tensor's numbers are encoded when they are due.

    Raises:
        ModelError: An encoding cannot store a tensor's rows.
    """
    header = bytearray(b"GGUF" + struct.pack("<IQQ", _VERSION, len(tensors), len(keys)))
    for key, value in keys.items():
        header += _text(key) + _value(value)
    offset = 0
    for tensor in tensors:
        header += _description(tensor, offset)
        offset += tensor.size + _padding(tensor.size)
    yield bytes(header)
    yield bytes(_padding(len(header)))
    for tensor in tensors:
        yield tensor.encoding.encode(tensor.values)
        yield bytes(_padding(tensor.size))


def _description(tensor: Tensor, offset: int) -> bytes:
    """What the header says of a tensor; its dimensions begin with the innermost."""
    lengths = tensor.values.shape[::-1]
    shape = struct.pack(f"<I{len(lengths)}Q", len(lengths), *lengths)
    return _text(tensor.name) + shape + struct.pack("<IQ", tensor.encoding.number, offset)


def _value(value: Value) -> bytes:
    match value:
        case bool():  # before int: True is one
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _text(value)
        case tuple():
            texts = [item for item in value if isinstance(item, str)]
            numbers = [item for item in value if isinstance(item, int)]
            head = struct.pack("<IIQ", _ARRAY, _STRING if texts else _INT32, len(value))
            return head + b"".join(map(_text, texts)) + struct.pack(f"<{len(numbers)}i", *numbers)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _padding(size: int) -> int:
    """Bytes from the end of something to the next multiple of the alignment."""
    return -size % _ALIGNMENT
