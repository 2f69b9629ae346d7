"""The nomic backend as far as it goes without torch; with it: tests/system/test_nomic.py."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image as Pillow

from embedding_service.errors import ImageError, ImageTooLargeError, ModelError
from embedding_service.inputs import Image
from embedding_service.settings import Settings
from tests.unit.backends import backend_module
from tests.unit.service.tiny_model import write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})
BACKEND = Path(__file__).parents[3] / "images" / "nomic" / "backend.py"


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    return backend_module.load("nomic")


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
