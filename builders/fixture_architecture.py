"""The architectures of the fixture models: their sizes, and every tensor by name and shape.

A tensor's name is the one it has in a checkpoint of transformers (`bert`, and `nomic_bert` from 5.5
on), whatever file format it is written to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

_GRID = 1024
"""Spreads are multiples of 1/_GRID, so that an integer times a spread is an exact float32."""


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
    mixing: float
    """Gain of what attention brings in from the other tokens, beside 1 for the token itself."""
    rope_base: int = 1000
    """Base of the rotary positions; of no meaning to `bert`, whose positions are a table."""

    @property
    def head_dimension(self) -> int:
        """Width of one attention head."""
        return self.dimension // self.heads


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor and the interval its numbers are drawn from: [centre - spread, centre + spread)."""

    name: str
    shape: tuple[int, ...]
    spread: float
    centre: float = 0.0


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
_POOLER = "pooler.dense"


def tensors(architecture: Architecture) -> tuple[Tensor, ...]:
    """Return every tensor of a checkpoint.

    The spreads keep the vectors of different texts apart, so that each figure of parity means
    something: attention and feed-forward change what the token embeddings say and do not drown it.
    They also keep the error of 8-bit weights near 1e-2, since a layer adds its rounding too.
    """
    return (
        *_embeddings(architecture),
        *(
            tensor
            for index in range(architecture.layers)
            for tensor in _layer(architecture, layer(architecture, index))
        ),
        *_pooler(architecture),
    )


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


def _embeddings(architecture: Architecture) -> tuple[Tensor, ...]:
    width = architecture.dimension
    tables = [
        Tensor(name=WORD_TABLE, shape=(architecture.vocabulary, width), spread=1 / 16),
        Tensor(name=TYPE_TABLE, shape=(architecture.token_types, width), spread=1 / 64),
    ]
    if architecture.model_type == "bert":
        shape = (architecture.positions, width)
        tables.append(Tensor(name=POSITION_TABLE, shape=shape, spread=1 / 32))
    return (*tables, *_norm(architecture, EMBEDDINGS_NORM))


def _layer(architecture: Architecture, names: Layer) -> tuple[Tensor, ...]:
    width, inner = architecture.dimension, architecture.feed_forward
    mixing = architecture.mixing
    gate = _linear(architecture, names.gate, width, inner) if names.gate else ()
    return (
        *_linear(architecture, names.query, width, width),
        *_linear(architecture, names.key, width, width),
        *_linear(architecture, names.value, width, width, gain=mixing),
        *_linear(architecture, names.attention_output, width, width, gain=mixing),
        *_norm(architecture, names.attention_norm),
        *gate,
        *_linear(architecture, names.up, width, inner),
        *_linear(architecture, names.down, inner, width, gain=1 / 4),
        *_norm(architecture, names.output_norm),
    )


def _pooler(architecture: Architecture) -> tuple[Tensor, ...]:
    """A checkpoint of `bert` has a pooler, which no embedding model uses."""
    if architecture.model_type != "bert":
        return ()
    width = architecture.dimension
    return _linear(architecture, _POOLER, width, width)


def _linear(
    architecture: Architecture, name: str, inputs: int, outputs: int, *, gain: float = 1.0
) -> tuple[Tensor, ...]:
    """A projection that multiplies the variance of independent inputs by gain squared."""
    spread = round(_GRID * gain * math.sqrt(3 / inputs)) / _GRID
    weight = Tensor(name=f"{name}.weight", shape=(outputs, inputs), spread=spread)
    if architecture.model_type != "bert":
        return (weight,)
    return (weight, Tensor(name=f"{name}.bias", shape=(outputs,), spread=1 / 16))


def _norm(architecture: Architecture, name: str) -> tuple[Tensor, ...]:
    shape = (architecture.dimension,)
    return (
        Tensor(name=f"{name}.weight", shape=shape, spread=1 / 8, centre=1.0),
        Tensor(name=f"{name}.bias", shape=shape, spread=1 / 16),
    )
