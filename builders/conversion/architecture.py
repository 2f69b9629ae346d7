"""The architectures that are converted: their sizes, and every tensor by name and shape.

A tensor's name is the one it has in a checkpoint of transformers (`bert`, and `nomic_bert` from 5.5
on), whatever file format it is written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]
"""Tensors by name, little-endian."""

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The sizes of an encoder. All lengths are in elements, all dictionary sizes in entries."""

    model_type: Literal["nomic_bert", "bert"]
    dimension: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int = 2
    layer_norm_epsilon: float = 1e-12
    rope_base: int = 1000
    """Base of the rotary positions; of no meaning to `bert`, whose positions are a table."""

    @property
    def head_dimension(self) -> int:
        """Width of one attention head."""
        return self.dimension // self.heads


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Names of one layer's modules; `.weight` and, where there is one, `.bias` follow."""

    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    gate: str | None
    """The gate of a gated feed-forward network; `bert` has none."""
    up: str
    down: str
    output_norm: str


WORD_TABLE = "embeddings.word_embeddings.weight"
POSITION_TABLE = "embeddings.position_embeddings.weight"
TYPE_TABLE = "embeddings.token_type_embeddings.weight"
EMBEDDINGS_NORM = "embeddings.LayerNorm"
POOLER = "pooler.dense"
"""A checkpoint of `bert` has one, which no embedding model uses."""


def layer(architecture: Architecture, index: int) -> Layer:
    """Return the names of layer `index`, counted from 0."""
    if architecture.model_type == "bert":
        prefix = f"encoder.layer.{index}"
        return Layer(
            query=f"{prefix}.attention.self.query",
            key=f"{prefix}.attention.self.key",
            value=f"{prefix}.attention.self.value",
            attention_output=f"{prefix}.attention.output.dense",
            attention_norm=f"{prefix}.attention.output.LayerNorm",
            gate=None,
            up=f"{prefix}.intermediate.dense",
            down=f"{prefix}.output.dense",
            output_norm=f"{prefix}.output.LayerNorm",
        )
    prefix = f"layers.{index}"
    return Layer(
        query=f"{prefix}.self_attn.q_proj",
        key=f"{prefix}.self_attn.k_proj",
        value=f"{prefix}.self_attn.v_proj",
        attention_output=f"{prefix}.self_attn.o_proj",
        attention_norm=f"{prefix}.post_attention_layernorm",
        gate=f"{prefix}.mlp.gate_proj",
        up=f"{prefix}.mlp.up_proj",
        down=f"{prefix}.mlp.down_proj",
        output_norm=f"{prefix}.post_mlp_layernorm",
    )


def shapes(architecture: Architecture) -> Mapping[str, Shape]:
    """Return the shape of every tensor, `bert`'s pooler included; linear ones are (out, in)."""
    return dict(_shapes(architecture))


def _shapes(architecture: Architecture) -> Iterator[tuple[str, Shape]]:
    width, inner = architecture.dimension, architecture.feed_forward
    yield WORD_TABLE, (architecture.vocabulary, width)
    yield TYPE_TABLE, (architecture.token_types, width)
    if architecture.model_type == "bert":
        yield POSITION_TABLE, (architecture.positions, width)
    yield from _norm(architecture, EMBEDDINGS_NORM)
    for index in range(architecture.layers):
        names = layer(architecture, index)
        for module in (names.query, names.key, names.value, names.attention_output):
            yield from _linear(architecture, module, (width, width))
        yield from _norm(architecture, names.attention_norm)
        if names.gate:
            yield from _linear(architecture, names.gate, (inner, width))
        yield from _linear(architecture, names.up, (inner, width))
        yield from _linear(architecture, names.down, (width, inner))
        yield from _norm(architecture, names.output_norm)
    if architecture.model_type == "bert":
        yield from _linear(architecture, POOLER, (width, width))


def _linear(
    architecture: Architecture, module: str, shape: tuple[int, int]
) -> Iterator[tuple[str, Shape]]:
    yield f"{module}.weight", shape
    if architecture.model_type == "bert":
        yield f"{module}.bias", shape[:1]


def _norm(architecture: Architecture, module: str) -> Iterator[tuple[str, Shape]]:
    yield f"{module}.weight", (architecture.dimension,)
    yield f"{module}.bias", (architecture.dimension,)
