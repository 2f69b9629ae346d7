"""What llama.cpp computes, as an ONNX graph: the numbers that it stores, and where it rounds.

llama-cpp-python has no wheel, so the tests' environment lacks it. This is written down from its
ggml/src/ggml-cpu: weights as the GGUF stores them; what they are multiplied with is stored likewise
first (`vec_dot_type`); GELU is the approximation by tanh, from a table of float16. So a gate has
room for all that is known to move llama.cpp's vectors. What is not known is not here: the library's
own vectors are judged by the verdicts of its cells. For comparison, how far they were from float32
(the worst text's distance, as haswell) and how far these are: float16, 768 dimensions, 3.20e-4 and
3.14e-4; q8_0, 6.88e-3 and 6.84e-3; a BERT of 384, 9.45e-5 and 9.46e-5; its q8_0, 1.13e-2 and
1.17e-2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from builders.conversion import onnx_graph
from builders.conversion.architecture import (
    POSITION_TABLE,
    TYPE_TABLE,
    Architecture,
    Weights,
)
from builders.conversion.gguf import PRECISIONS
from builders.conversion.onnx_file import FLOAT, Chunk
from builders.conversion.onnx_file import chunks as file_chunks
from tests.unit.gguf_reader import Stored

Numbers = NDArray[np.float32]

FLOAT16 = 10
"""ONNX's number of the type."""

BLOCK = 32
"""Numbers that share a scale."""


def chunks(
    name: str, architecture: Architecture, weights: Weights, precision: str
) -> Iterator[Chunk]:
    """Yield the bytes of model.onnx."""
    graph = _LlamaCpp(architecture, stored(weights, precision), precision).graph(name)
    yield from file_chunks(graph, opset=onnx_graph._OPSET, ir_version=onnx_graph._IR_VERSION)


def stored(weights: Weights, precision: str) -> Weights:
    """The weights after they were in a GGUF file."""
    encoding = PRECISIONS[precision]
    return {
        name: values
        if values.ndim == 1 or name in (TYPE_TABLE, POSITION_TABLE)
        else Stored(
            kind=encoding.name, shape=values.shape, content=bytes(encoding.encode(values))
        ).values.astype(np.float32)
        for name, values in weights.items()
    }


class _LlamaCpp(onnx_graph._Encoder):
    def __init__(self, architecture: Architecture, weights: Weights, precision: str) -> None:
        super().__init__(architecture, weights)
        self._precision = precision

    def _linear(self, modules: tuple[str, ...], x: str) -> str:
        return super()._linear(modules, self._rounded(x, self._weights[f"{modules[0]}.weight"]))

    def _rounded(self, x: str, weight: Numbers) -> str:
        match self._precision:
            case "float16":
                return self._float16(x)
            case "q8_0":
                return self._eight_bits(x, width=weight.shape[1])
            case _:
                return x

    def _float16(self, x: str) -> str:
        return self._node("Cast", self._node("Cast", x, to=FLOAT16), to=FLOAT)

    def _eight_bits(self, x: str, *, width: int) -> str:
        """`quantize_row_q8_0`: integers of the scale before that is rounded to float16."""
        blocks = self._node("Reshape", x, self._integers(0, 0, width // BLOCK, BLOCK))
        largest = self._node("ReduceMax", self._node("Abs", blocks), axes=(3,), keepdims=1)
        scale = self._node("Div", largest, self._number(127.0))
        # A block of zeros has the scale 0: any other does as well.
        divisor = self._node("Max", scale, self._number(float(np.finfo(np.float32).tiny)))
        numbers = self._node("Round", self._node("Div", blocks, divisor))
        means = self._node("Mul", numbers, self._float16(scale))
        return self._node("Reshape", means, self._integers(0, 0, width))

    def _gelu(self, x: str) -> str:
        x = self._float16(x)
        cube = self._node("Mul", self._node("Mul", x, x), x)
        inner = self._node("Add", x, self._node("Mul", cube, self._number(0.044715)))
        tanh = self._node("Tanh", self._node("Mul", inner, self._number(math.sqrt(2 / math.pi))))
        product = self._node("Mul", x, self._node("Add", tanh, self._number(1.0)))
        return self._float16(self._node("Mul", product, self._number(0.5)))
