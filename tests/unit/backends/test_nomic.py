"""The nomic backend as far as it goes without torch; with it: tests/system/test_nomic.py."""

from __future__ import annotations

import io
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image as Pillow

from embedding_service import tokens
from embedding_service.errors import ImageError, ImageTooLargeError, ModelError
from embedding_service.inputs import Image
from embedding_service.settings import Settings
from tests.unit.service.tiny_model import write_model, write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})
BACKEND = Path(__file__).parents[3] / "images" / "nomic" / "backend.py"


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    """Load the file by its path: every backend's module has the same name."""
    spec = spec_from_file_location("nomic_backend", BACKEND)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module


def png(width: int, height: int) -> Image:
    file = io.BytesIO()
    Pillow.new("RGB", (width, height), "red").save(file, "PNG")
    return Image(content=file.getvalue())


def test_a_model_of_another_format_is_refused(backend: ModuleType, tmp_path: Path) -> None:
    write_recipe(tmp_path, format="onnx")
    with pytest.raises(ModelError, match="nomic takes models in the format remote-code, not onnx"):
        backend.Backend.load(tmp_path, SETTINGS)


@pytest.mark.parametrize("changes", [{"pooling": "cls"}, {"dense_layers": True}])
def test_a_recipe_that_the_code_does_not_follow_is_refused(
    backend: ModuleType, changes: dict[str, object], tmp_path: Path
) -> None:
    write_recipe(tmp_path, format="remote-code", **changes)
    with pytest.raises(ModelError, match="mean of a text's tokens, with no dense layers"):
        backend.Backend.load(tmp_path, SETTINGS)


def test_padding_is_neither_attended_to_nor_pooled(backend: ModuleType, tmp_path: Path) -> None:
    tokenizer = tokens.tokenizer(write_model(tmp_path))
    fields = backend.padded(tokenizer.encode_batch(["alpha beta", "alpha"]))
    assert fields["input_ids"].tolist() == [[2, 4, 5, 3], [2, 4, 3, 0]]
    assert fields["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert fields["token_type_ids"].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    hidden = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    hidden[1, 3] = 1000
    pooled = backend.mean_pooled(hidden, fields["attention_mask"])
    assert pooled.tolist() == [[1.5], [5.0]]


def test_vectors_are_scaled_to_length_1(backend: ModuleType) -> None:
    unit = backend.normalised(np.array([[3, 4], [0, 2]], dtype=np.float32))
    np.testing.assert_allclose(unit, np.array([[0.6, 0.8], [0, 1]]), rtol=1e-6)


@pytest.mark.parametrize(("width", "height"), [(301, 1), (2, 601)])
def test_an_image_that_would_grow_a_hundredfold_is_refused(
    backend: ModuleType, width: int, height: int
) -> None:
    with pytest.raises(ImageTooLargeError, match="more than 300 times as long") as caught:
        backend._picture(png(width, height), 3)
    assert caught.value.index == 3


def test_a_long_image_is_taken(backend: ModuleType) -> None:
    assert backend._picture(png(300, 1), 0).size == (300, 1)


def test_what_is_no_image_is_refused(backend: ModuleType) -> None:
    with pytest.raises(ImageError) as caught:
        backend._picture(Image(content=b"no image"), 1)
    assert caught.value.index == 1
