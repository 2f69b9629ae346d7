"""Memory stays flat, however often models are replaced."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model

from tests.unit.service.administration import administrated, reload, wait_until
from tests.unit.service.tiny_model import DIMENSION, embeddings, write_model, write_recipe

MEGABYTES = 64


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def test_memory_is_flat_over_reloads(model: Path, tmp_path: Path) -> None:
    write_heavy_onnx(model / "model.onnx")
    write_recipe(model)
    with administrated(tmp_path, model) as service:

        def size() -> float:
            argv = ["ps", "-o", "rss=", "-p", str(service.process.pid)]
            return int(subprocess.check_output(argv)) / 1024

        assert service.embed("alpha").status == 200
        first = size()
        assert first > MEGABYTES
        for _ in range(3):
            assert reload(service).status == 200
            assert service.embed("alpha").status == 200
            most = first + MEGABYTES / 4
            wait_until(lambda: size() < most, f"{size():.0f} MiB, at first {first:.0f}")  # noqa: B023
        write_recipe(model, dimension=768)
        for _ in range(3):
            assert reload(service).status == 409
        # What could not be served leaves nothing either.
        wait_until(lambda: size() < first + MEGABYTES / 4, f"{size():.0f} MiB after failures")


def write_heavy_onnx(path: Path) -> None:
    """Write a model whose weights have so many megabytes, in tensors of half of one.

    The C library keeps pages of such tensors; larger ones have mappings of their own.
    """
    width = 2**19 // 4 // DIMENSION
    scale = (DIMENSION * width) ** -0.25  # so that numbers stay as large as they are
    generator = np.random.default_rng(1)
    tensors = [numpy_helper.from_array(embeddings(), "table")]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["0"])]
    for layer in range(MEGABYTES):
        for name, shape in (("out", (DIMENSION, width)), ("back", (width, DIMENSION))):
            values = generator.normal(size=shape, scale=scale).astype(np.float32)
            tensors.append(numpy_helper.from_array(values, f"{name}{layer}"))
        after = str(layer + 1) if layer + 1 < MEGABYTES else "last_hidden_state"
        nodes += [
            helper.make_node("MatMul", [str(layer), f"out{layer}"], [f"wide{layer}"]),
            helper.make_node("MatMul", [f"wide{layer}", f"back{layer}"], [after]),
        ]
    asked = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    answered = helper.make_tensor_value_info(
        "last_hidden_state", TensorProto.FLOAT, ["b", "s", DIMENSION]
    )
    graph = helper.make_graph(nodes, "heavy", asked, [answered], tensors)
    opset = helper.make_opsetid("", 17)
    save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
