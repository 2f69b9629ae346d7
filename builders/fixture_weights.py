"""The numbers of a fixture model: the same on every machine, from nothing but names.

Each tensor is SHAKE-256 of its model's name and its own, read as 16-bit integers and scaled.
Integer times spread is an exact float32 (15 + 8 significant bits at most), so no rounding, no
random generator and no mathematical library has a say. 16 bits are more than float16 holds: its
error is visible too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from builders.fixture_architecture import Architecture, Tensor, tensors

Weights = Mapping[str, NDArray[np.float32]]
"""Tensors by name, C-contiguous and little-endian, in the order of the architecture."""

_STEPS = 1 << 15


def weights(model: str, architecture: Architecture) -> Weights:
    """Return every tensor of the model."""
    return {tensor.name: _values(model, tensor) for tensor in tensors(architecture)}


def _values(model: str, tensor: Tensor) -> NDArray[np.float32]:
    seed = f"equivec fixture\n{model}\n{tensor.name}\n".encode("ascii")
    stream = hashlib.shake_256(seed).digest(2 * math.prod(tensor.shape))
    values = np.frombuffer(stream, dtype="<i2").astype("<f4")
    values *= np.float32(tensor.spread / _STEPS)
    if tensor.centre:
        values += np.float32(tensor.centre)
    return values.reshape(tensor.shape)
