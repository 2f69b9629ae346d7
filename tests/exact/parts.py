"""What encoders are made of, in float64."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.exact.encoder import read_safetensors

Vector = NDArray[np.float64]


class Parts:
    """A checkpoint's tensors, and what is computed with them by their names."""

    def __init__(self, checkpoint: Path, *, epsilon: float) -> None:
        """Read the tensors; `epsilon` is added to a variance."""
        tensors = read_safetensors(checkpoint)
        self._tensors = {name: values.astype(np.float64) for name, values in tensors.items()}
        self._epsilon = epsilon

    def __getitem__(self, name: str) -> Vector:
        return self._tensors[name]

    def linear(self, x: Vector, name: str) -> Vector:
        product: Vector = x @ self[f"{name}.weight"].T
        return product + self._tensors.get(f"{name}.bias", np.float64(0))

    def norm(self, x: Vector, name: str) -> Vector:
        centred = x - x.mean(-1, keepdims=True)
        normal: Vector = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self._epsilon)
        return normal * self[f"{name}.weight"] + self[f"{name}.bias"]


def split(x: Vector, heads: int) -> Vector:
    """Return states of shape (positions, width) as (heads, positions, width of a head)."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def attend(query: Vector, key: Vector, value: Vector) -> Vector:
    """Let every position attend to every one; each argument is of the shape that `split` gives.

    Returns:
        Of shape (positions, width).
    """
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = powers / powers.sum(-1, keepdims=True) @ value
    together: Vector = mixed.transpose(1, 0, 2).reshape(query.shape[1], -1)
    return together


def turned(x: Vector, base: float) -> Vector:
    """Rotate the pairs (i, i + half) of a head by their position; x as `split` gives it."""
    _, positions, width = x.shape
    angles = np.arange(positions)[:, None] * base ** (-np.arange(0, width, 2) / width)
    pairs = (x[..., : width // 2] + 1j * x[..., width // 2 :]) * np.exp(1j * angles)
    return np.concatenate([pairs.real, pairs.imag], axis=-1)


def gelu_tanh(x: Vector) -> Vector:
    """Return the GELU by its approximation with tanh."""
    inner: Vector = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return x * (1 + inner) / 2


def silu(x: Vector) -> Vector:
    """Return x times its logistic function."""
    value: Vector = x / (1 + np.exp(-x))
    return value
