"""The encoders in float64, from their definitions and a checkpoint: the exact answer.

Independent of builders/: it reads model.safetensors and config.json as the formats' own
documentation says, and computes with numpy alone. Slow and plain on purpose.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__")
    start = 8 + length
    return {
        name: np.frombuffer(
            content[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]], "<f4"
        ).reshape(entry["shape"])
        for name, entry in header.items()
    }


class ExactEncoder:
    """A `bert` or `nomic_bert` of a sentence-transformers directory."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        """Read the directory; `changes` replace entries of its config.json, to make it wrong."""
        tensors = read_safetensors(directory / "model.safetensors")
        self._weights = {name: values.astype(np.float64) for name, values in tensors.items()}
        self._config: Mapping[str, Any] = {
            **json.loads((directory / "config.json").read_bytes()),
            **changes,
        }

    def hidden(self, ids: Sequence[int]) -> Vector:
        """Return the last hidden state, shape (tokens, dimension)."""
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][list(ids)]
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
        if self._bert:
            x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = self._norm(x, "embeddings.LayerNorm")
        for index in range(self._config["num_hidden_layers"]):
            x = self._bert_layer(x, index) if self._bert else self._nomic_layer(x, index)
        return x

    @property
    def _bert(self) -> bool:
        return bool(self._config["model_type"] == "bert")

    def _bert_layer(self, x: Vector, index: int) -> Vector:
        name = f"encoder.layer.{index}"
        query, key, value = (
            self._heads(self._linear(x, f"{name}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        mixed = self._linear(self._attend(query, key, value), f"{name}.attention.output.dense")
        x = self._norm(x + mixed, f"{name}.attention.output.LayerNorm")
        inner = self._gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(
            x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm"
        )

    def _nomic_layer(self, x: Vector, index: int) -> Vector:
        name = f"layers.{index}"
        query, key, value = (
            self._heads(self._linear(x, f"{name}.self_attn.{part}_proj")) for part in "qkv"
        )
        mixed = self._attend(self._rotate(query), self._rotate(key), value)
        x = self._norm(
            x + self._linear(mixed, f"{name}.self_attn.o_proj"), f"{name}.post_attention_layernorm"
        )
        gate = self._linear(x, f"{name}.mlp.gate_proj")
        inner = gate / (1 + np.exp(-gate)) * self._linear(x, f"{name}.mlp.up_proj")
        return self._norm(
            x + self._linear(inner, f"{name}.mlp.down_proj"), f"{name}.post_mlp_layernorm"
        )

    def _heads(self, x: Vector) -> Vector:
        tokens, width = x.shape
        heads = self._config["num_attention_heads"]
        return x.reshape(tokens, heads, width // heads).transpose(1, 0, 2)

    def _attend(self, query: Vector, key: Vector, value: Vector) -> Vector:
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = powers / powers.sum(-1, keepdims=True) @ value
        together: Vector = mixed.transpose(1, 0, 2).reshape(mixed.shape[1], -1)
        return together

    def _rotate(self, x: Vector) -> Vector:
        _, tokens, width = x.shape
        base = self._config["rope_parameters"]["rope_theta"]
        angles = np.arange(tokens)[:, None] * base ** (-np.arange(0, width, 2) / width)
        turn = np.exp(1j * angles)
        # The pairs of a head are (i, i + half): complex numbers, turned by their position.
        pairs = (x[..., : width // 2] + 1j * x[..., width // 2 :]) * turn
        return np.concatenate([pairs.real, pairs.imag], axis=-1)

    def _gelu(self, x: Vector) -> Vector:
        if self._config["hidden_act"] == "gelu":
            share: Vector = np.vectorize(math.erf)(x / math.sqrt(2))
        else:  # gelu_tanh, the approximation
            share = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        return x * (1 + share) / 2

    def _linear(self, x: Vector, name: str) -> Vector:
        product: Vector = x @ self._weights[f"{name}.weight"].T
        return product + self._weights.get(f"{name}.bias", np.float64(0))

    def _norm(self, x: Vector, name: str) -> Vector:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        normal: Vector = centred / np.sqrt(variance + self._config["layer_norm_eps"])
        return normal * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
