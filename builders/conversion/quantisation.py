"""How ggml stores the numbers of a tensor: float32, float16, or 8-bit integers with a scale.

Each step is one correctly rounded IEEE operation on float32, so that the bytes are the same on
every machine: https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-quants.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builders.errors import ModelError

Numbers = NDArray[np.float32]
Chunk = bytes | memoryview

_BLOCK = 32
"""Numbers that share a scale (QK8_0)."""

_LARGEST = np.float32(127)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """A type of ggml's tensors."""

    name: str
    number: int
    """Its place in `enum ggml_type`."""
    block: int
    """How many numbers are stored together; a row holds a multiple of them."""
    block_size: int
    """Bytes of a block."""
    encode: Callable[[Numbers], Chunk]
    """Returns the bytes of a tensor's numbers."""

    def size(self, shape: tuple[int, ...]) -> int:
        """Return how many bytes a tensor takes.

        Raises:
            ModelError: Its rows do not consist of whole blocks.
        """
        *rows, width = shape
        blocks, rest = divmod(width, self.block)
        if rest:
            raise ModelError(
                f"{self.name} stores {self.block} numbers together, and a row has {width}",
                remedy="choose float32 or float16, or a width that it divides",
            )
        return int(np.prod(rows, dtype=np.int64)) * blocks * self.block_size


def _float32(values: Numbers) -> Chunk:
    return values.astype("<f4", copy=False).data


def _float16(values: Numbers) -> Chunk:
    """Round to the nearest float16, the even one of two."""
    return values.astype("<f2").tobytes()


def _q8_0(values: Numbers) -> Chunk:
    """Quantise as `quantize_row_q8_0_ref`: the scale as float16, then 32 integers of 8 bits.

    The integers are of the scale before it was rounded to float16.
    """
    blocks = values.reshape(-1, _BLOCK)
    scales = np.abs(blocks).max(axis=1) / _LARGEST
    inverse = np.divide(np.float32(1), scales, where=scales != 0, out=np.zeros_like(scales))
    stored = np.empty(len(blocks), dtype=[("scale", "<f2"), ("numbers", "i1", _BLOCK)])
    stored["scale"] = scales
    stored["numbers"] = _nearest(blocks * inverse[:, np.newaxis])
    return stored.tobytes()


def _nearest(values: Numbers) -> Numbers:
    """Round to whole numbers, halves away from zero, like C's `roundf` and unlike np.round."""
    size = np.abs(values)
    whole = np.floor(size)
    # A number and its floor are near enough that their difference is exact.
    up = (size - whole) >= np.float32(0.5)
    rounded: Numbers = np.copysign(whole + up.astype(np.float32), values)
    return rounded


F32 = Encoding(name="F32", number=0, block=1, block_size=4, encode=_float32)
F16 = Encoding(name="F16", number=1, block=1, block_size=2, encode=_float16)
Q8_0 = Encoding(name="Q8_0", number=8, block=_BLOCK, block_size=2 + _BLOCK, encode=_q8_0)
