from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from builders.fixture import safetensors as fixture_safetensors
from tests.exact.encoder import read_safetensors


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    weights = {
        "b": np.arange(6, dtype="<f4").reshape(2, 3),
        "a": np.array([0.5], dtype="<f4"),
    }
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"".join(fixture_safetensors.chunks(weights)))
    read = read_safetensors(path)

    assert list(read) == ["a", "b"]
    assert all(np.array_equal(read[name], weights[name]) for name in weights)


def test_header_as_the_format_asks() -> None:
    weights = {"b": np.ones((2, 3), "<f4"), "a": np.ones(1, "<f4")}
    content = b"".join(fixture_safetensors.chunks(weights))
    length = int.from_bytes(content[:8], "little")

    assert length % 8 == 0
    assert len(content) == 8 + length + 28
    assert json.loads(content[8 : 8 + length]) == {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [4, 28]},
    }
