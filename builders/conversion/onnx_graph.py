"""The encoders as ONNX graphs, written down from the architectures' definitions.

Inputs are `input_ids`, `attention_mask` and `token_type_ids`, int64 of shape (batch, sequence); the
output is `last_hidden_state`, float32 of shape (batch, sequence, dimension). Pooling and
normalisation are the backend's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

from builders.conversion.architecture import (
    EMBEDDINGS_NORM,
    POSITION_TABLE,
    TYPE_TABLE,
    WORD_TABLE,
    Architecture,
    Layer,
    Weights,
    layer,
)
from builders.conversion.onnx_file import FLOAT, INT64, Array, Attribute, Chunk, Graph, Node, Value
from builders.conversion.onnx_file import chunks as file_chunks

_OPSET, _IR_VERSION = 17, 9
"""The oldest with LayerNormalization as one operation: every runtime of the last years reads it."""

_OUTPUT = "last_hidden_state"


def chunks(name: str, architecture: Architecture, weights: Weights) -> Iterator[Chunk]:
    """Yield the bytes of model.onnx."""
    graph = _Encoder(architecture, weights).graph(name)
    yield from file_chunks(graph, opset=_OPSET, ir_version=_IR_VERSION)


def inverse_frequencies(architecture: Architecture) -> NDArray[np.float32]:
    """Return the angles by which one position turns the pairs of a head: (head dimension / 2,).

    Rounded to float32 where transformers rounds (`base ** exponent`, then its inverse); the power
    itself is decimal arithmetic, since one machine's `pow` may differ from another's.
    """
    half = architecture.head_dimension // 2
    decimal = Context(prec=40)
    base = Decimal(architecture.rope_base)
    powers = [decimal.power(base, decimal.divide(Decimal(i), Decimal(half))) for i in range(half)]
    return np.float32(1) / np.array([float(power) for power in powers], dtype=np.float32)


class _Encoder:
    """Collects nodes and constants; each method adds some and returns the name of its result."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        self._architecture = architecture
        self._weights = weights
        self._nodes: list[Node] = []
        self._constants: dict[str, Array] = {}

    def graph(self, name: str) -> Graph:
        """Return the whole encoder."""
        hidden = self._embeddings()
        mask = self._mask()
        for index in range(self._architecture.layers):
            names = layer(self._architecture, index)
            last = index == self._architecture.layers - 1
            attended = self._attention(names, hidden, mask)
            hidden = self._norm(names.attention_norm, self._node("Add", hidden, attended))
            fed = self._feed_forward(names, hidden)
            total = self._node("Add", hidden, fed)
            hidden = self._norm(names.output_norm, total, result=_OUTPUT if last else None)
        tokens = ("batch", "sequence")
        return Graph(
            name=name,
            nodes=tuple(self._nodes),
            constants=self._constants,
            inputs=tuple(
                Value(name=given, element_type=INT64, shape=tokens)
                for given in ("input_ids", "attention_mask", "token_type_ids")
            ),
            outputs=(
                Value(
                    name=_OUTPUT,
                    element_type=FLOAT,
                    shape=(*tokens, self._architecture.dimension),
                ),
            ),
        )

    def _embeddings(self) -> str:
        words = self._node("Gather", self._weight(WORD_TABLE), "input_ids")
        types = self._node("Gather", self._weight(TYPE_TABLE), "token_type_ids")
        total = self._node("Add", words, types)
        length = self._node("Squeeze", self._node("Shape", "input_ids", start=1, end=2))
        positions = self._node("Range", self._integer(0), length, self._integer(1))
        if self._architecture.model_type == "bert":
            table = self._weight(POSITION_TABLE)
            total = self._node("Add", total, self._node("Gather", table, positions))
        else:
            self._angles(positions)
        return self._norm(EMBEDDINGS_NORM, total)

    def _angles(self, positions: str) -> None:
        """Add `cos` and `sin`, of shape (sequence, head dimension / 2)."""
        column = self._node("Unsqueeze", positions, self._integers(1))
        frequencies = self._constant("frequencies", inverse_frequencies(self._architecture))
        angles = self._node("Mul", self._node("Cast", column, to=FLOAT), frequencies)
        self._node("Cos", angles, result="cos")
        self._node("Sin", angles, result="sin")

    def _mask(self) -> str:
        """What is added to the scores, (batch, 1, 1, sequence): 0, or for padding the lowest."""
        mask = self._node("Unsqueeze", "attention_mask", self._integers(1, 2))
        padding = self._node("Sub", self._number(1.0), self._node("Cast", mask, to=FLOAT))
        return self._node("Mul", padding, self._number(float(np.finfo(np.float32).min)))

    def _attention(self, names: Layer, hidden: str, mask: str) -> str:
        architecture = self._architecture
        projected = self._linear((names.query, names.key, names.value), hidden)
        thirds = self._integers(0, 0, 3 * architecture.heads, architecture.head_dimension)
        heads = self._node("Transpose", self._node("Reshape", projected, thirds), perm=(0, 2, 1, 3))
        query, key, value = self._split(heads, 3, axis=1)
        if architecture.model_type == "nomic_bert":
            query, key = self._rotate(query), self._rotate(key)
        scores = self._node("MatMul", query, self._node("Transpose", key, perm=(0, 1, 3, 2)))
        scale = self._number(1 / math.sqrt(architecture.head_dimension))
        scores = self._node("Add", self._node("Mul", scores, scale), mask)
        mixed = self._node("MatMul", self._node("Softmax", scores, axis=-1), value)
        mixed = self._node("Transpose", mixed, perm=(0, 2, 1, 3))
        mixed = self._node("Reshape", mixed, self._integers(0, 0, architecture.dimension))
        return self._linear((names.attention_output,), mixed)

    def _rotate(self, heads: str) -> str:
        """Turn the pairs (i, i + half) of each head by the angles of its position."""
        left, right = self._split(heads, 2, axis=3)
        turned_left = self._node(
            "Sub", self._node("Mul", left, "cos"), self._node("Mul", right, "sin")
        )
        turned_right = self._node(
            "Add", self._node("Mul", right, "cos"), self._node("Mul", left, "sin")
        )
        return self._node("Concat", turned_left, turned_right, axis=3)

    def _feed_forward(self, names: Layer, hidden: str) -> str:
        up = self._linear((names.up,), hidden)
        if names.gate is None:
            return self._linear((names.down,), self._gelu(up))
        gate = self._linear((names.gate,), hidden)
        gate = self._node("Mul", gate, self._node("Sigmoid", gate))
        return self._linear((names.down,), self._node("Mul", gate, up))

    def _gelu(self, x: str) -> str:
        """The exact one, by the error function."""
        erf = self._node("Erf", self._node("Div", x, self._number(math.sqrt(2))))
        product = self._node("Mul", x, self._node("Add", erf, self._number(1.0)))
        return self._node("Mul", product, self._number(0.5))

    def _linear(self, modules: tuple[str, ...], x: str) -> str:
        """Apply one projection, or several as one, their outputs side by side."""
        name = "+".join(modules)
        # A checkpoint stores (outputs, inputs); MatMul multiplies from the right.
        weight = np.concatenate([self._weights[f"{module}.weight"] for module in modules]).T
        product = self._node(
            "MatMul", x, self._constant(f"{name}.weight", np.ascontiguousarray(weight))
        )
        if f"{modules[0]}.bias" not in self._weights:
            return product
        bias = np.concatenate([self._weights[f"{module}.bias"] for module in modules])
        return self._node("Add", product, self._constant(f"{name}.bias", bias))

    def _norm(self, module: str, x: str, *, result: str | None = None) -> str:
        scale, shift = self._weight(f"{module}.weight"), self._weight(f"{module}.bias")
        epsilon = self._architecture.layer_norm_epsilon
        return self._node(
            "LayerNormalization", x, scale, shift, result=result, axis=-1, epsilon=epsilon
        )

    def _split(self, x: str, parts: int, *, axis: int) -> tuple[str, ...]:
        number = len(self._nodes)
        outputs = tuple(f"{number}.Split.{part}" for part in range(parts))
        attributes = {"axis": axis}
        self._nodes.append(
            Node(operation="Split", inputs=(x,), outputs=outputs, attributes=attributes)
        )
        return outputs

    def _node(
        self, operation: str, *inputs: str, result: str | None = None, **attributes: Attribute
    ) -> str:
        name = result or f"{len(self._nodes)}.{operation}"
        self._nodes.append(
            Node(operation=operation, inputs=inputs, outputs=(name,), attributes=attributes)
        )
        return name

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _number(self, value: float) -> str:
        return self._constant(f"number {value!r}", np.array(value, dtype=np.float32))

    def _integer(self, value: int) -> str:
        return self._constant(f"integer {value}", np.array(value, dtype=np.int64))

    def _integers(self, *values: int) -> str:
        return self._constant(f"integers {values}", np.array(values, dtype=np.int64))

    def _constant(self, name: str, values: Array) -> str:
        self._constants[name] = values
        return name
