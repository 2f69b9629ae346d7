from __future__ import annotations

import numpy as np
import onnx
import onnx.checker
import onnx.numpy_helper
import pytest

from builders.conversion.onnx_file import FLOAT, INT64, Graph, Node, Value, chunks

GRAPH = Graph(
    name="test",
    nodes=(
        Node(operation="Softmax", inputs=("x",), outputs=("s",), attributes={"axis": -1}),
        Node(
            operation="LayerNormalization",
            inputs=("s", "scale"),
            outputs=("n",),
            attributes={"axis": -1, "epsilon": 1e-12},
        ),
        Node(operation="Transpose", inputs=("n",), outputs=("t",), attributes={"perm": (1, 0)}),
        Node(operation="Reshape", inputs=("t", "shape"), outputs=("r",)),
        Node(operation="Mul", inputs=("r", "scalar"), outputs=("y",)),
    ),
    constants={
        "scale": np.linspace(0, 1, 300, dtype=np.float32),
        "shape": np.array([-1, 300], dtype=np.int64),
        "scalar": np.array(2.0, dtype=np.float32),
    },
    inputs=(Value(name="x", element_type=FLOAT, shape=("batch", 300)),),
    outputs=(Value(name="y", element_type=FLOAT, shape=("batch", 300)),),
)


@pytest.fixture
def content() -> bytes:
    return b"".join(bytes(chunk) for chunk in chunks(GRAPH, opset=17, ir_version=9))


def test_onnx_writes_the_same_bytes(content: bytes) -> None:
    model = onnx.load_from_string(content)

    assert model.SerializeToString(deterministic=True) == content


def test_onnx_finds_the_model_valid(content: bytes) -> None:
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


def test_onnx_reads_what_was_meant(content: bytes) -> None:
    model = onnx.load_from_string(content)
    graph = model.graph
    attributes = {
        attribute.name: onnx.helper.get_attribute_value(attribute)
        for node in graph.node
        for attribute in node.attribute
    }
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}

    assert (model.ir_version, model.opset_import[0].version) == (9, 17)
    assert [node.op_type for node in graph.node] == [node.operation for node in GRAPH.nodes]
    assert attributes == {"axis": -1, "epsilon": pytest.approx(1e-12), "perm": [1, 0]}
    assert constants.keys() == GRAPH.constants.keys()
    for name, values in GRAPH.constants.items():
        assert np.array_equal(constants[name], values)
        assert constants[name].dtype == values.dtype
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert graph.input[0].type.tensor_type.shape.dim[1].dim_value == 300


def test_whole_numbers_of_64_bits() -> None:
    graph = Graph(
        name="numbers",
        nodes=(Node(operation="Identity", inputs=("n",), outputs=("y",)),),
        constants={"n": np.array([-(2**63), -1, 0, 127, 128, 2**63 - 1], dtype=np.int64)},
        inputs=(),
        outputs=(Value(name="y", element_type=INT64, shape=(6,)),),
    )
    content = b"".join(bytes(chunk) for chunk in chunks(graph, opset=17, ir_version=9))
    read = onnx.numpy_helper.to_array(onnx.load_from_string(content).graph.initializer[0])

    assert read.tolist() == [-(2**63), -1, 0, 127, 128, 2**63 - 1]
