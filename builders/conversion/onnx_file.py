"""The ONNX file format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

Written by hand, as far as an encoder needs it: the digest of a model must not depend on the
versions of onnx and protobuf that a user happens to have. Fields stand in the order of their
numbers, as protobuf itself writes them; the tests show that the onnx package reads a file and
writes the same bytes again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Chunk = bytes | memoryview
Array = NDArray[np.float32] | NDArray[np.int64]
Attribute = int | float | tuple[int, ...]

FLOAT, INT64 = 1, 7
"""Element types (TensorProto.DataType)."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation."""

    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Value:
    """An input or output of the graph; a dimension that is a name is free."""

    name: str
    element_type: int
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A graph: nodes in an order in which they can run, and constants by name."""

    name: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def chunks(graph: Graph, *, opset: int, ir_version: int) -> Iterator[Chunk]:
    """Yield the bytes of a model file, in pieces, so that the weights are not copied."""
    yield _integer(1, ir_version)
    yield from _text(2, "equivec")
    yield from _message(
        7,
        *chain.from_iterable(_message(1, *_node(node)) for node in graph.nodes),
        *_text(2, graph.name),
        *chain.from_iterable(
            _message(5, *_tensor(name, values)) for name, values in graph.constants.items()
        ),
        *chain.from_iterable(_message(11, *_value(value)) for value in graph.inputs),
        *chain.from_iterable(_message(12, *_value(value)) for value in graph.outputs),
    )
    yield from _message(8, *_text(1, ""), _integer(2, opset))


def _node(node: Node) -> Iterator[Chunk]:
    for name in node.inputs:
        yield from _text(1, name)
    for name in node.outputs:
        yield from _text(2, name)
    yield from _text(3, node.outputs[0])
    yield from _text(4, node.operation)
    for name in sorted(node.attributes):
        yield from _message(5, *_text(1, name), *_attribute(node.attributes[name]))


def _attribute(value: Attribute) -> Iterator[Chunk]:
    if isinstance(value, int):
        yield _integer(3, value)
        yield _integer(20, 2)
    elif isinstance(value, float):
        yield _key(2, 5) + struct.pack("<f", value)
        yield _integer(20, 1)
    else:
        for item in value:
            yield _integer(8, item)
        yield _integer(20, 7)


def _tensor(name: str, values: Array) -> Iterator[Chunk]:
    for length in values.shape:
        yield _integer(1, length)
    yield _integer(2, INT64 if values.dtype == np.int64 else FLOAT)
    yield from _text(8, name)
    yield from _message(9, values.data.cast("B") if values.ndim else values.tobytes())


def _value(value: Value) -> Iterator[Chunk]:
    shape: list[Chunk] = []
    for length in value.shape:
        size = (_integer(1, length),) if isinstance(length, int) else _text(2, length)
        shape += _message(1, *size)
    yield from _text(1, value.name)
    yield from _message(2, *_message(1, _integer(1, value.element_type), *_message(2, *shape)))


def _message(number: int, *content: Chunk) -> tuple[Chunk, ...]:
    length = sum(len(chunk) for chunk in content)
    return (_key(number, 2) + _varint(length), *content)


def _text(number: int, text: str) -> tuple[Chunk, ...]:
    return _message(number, text.encode("ascii"))


def _integer(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value)


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    rest = value & (1 << 64) - 1  # a negative int64 is its two's complement
    encoded = bytearray()
    while rest >= 1 << 7:
        encoded.append(rest & 0x7F | 1 << 7)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
