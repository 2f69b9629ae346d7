"""What the backends that read GGUF refuse before they load their libraries."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from builders import fixture
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from tests.unit.backends import backend_module
from tests.unit.service.tiny_model import write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})
RECIPE = {
    "format": "gguf",
    "dimension": 384,
    "max_tokens": 512,
    "pooling": "cls",
    "precision": "q8_0",
}


@pytest.fixture(scope="module", params=["llama-cpp", "gpt4all"])
def backend(request: pytest.FixtureRequest) -> ModuleType:
    return backend_module.load(request.param)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fixture") / "model"
    fixture.write("fixture-bert-384", "gguf", directory, "q8_0")
    return directory


@pytest.fixture
def model(written: Path, tmp_path: Path) -> Path:
    """A model directory that a test may spoil."""
    return Path(shutil.copytree(written, tmp_path / "model"))


def test_another_format_is_refused(backend: ModuleType, model: Path) -> None:
    write_recipe(model, **{**RECIPE, "format": "onnx"})
    name = backend.Backend.name
    with pytest.raises(ModelError, match=f"{name} takes models in the format gguf, not onnx"):
        backend.Backend.load(model, SETTINGS)


def test_a_model_without_a_tokenizer_is_refused(backend: ModuleType, model: Path) -> None:
    (model / "tokenizer.json").unlink()
    write_recipe(model, **RECIPE)
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        backend.Backend.load(model, SETTINGS)


def test_a_model_without_its_file_is_refused(backend: ModuleType, model: Path) -> None:
    (model / "model.gguf").rename(model / "other.gguf")
    write_recipe(model, **RECIPE)
    with pytest.raises(ModelError, match=r"model\.gguf cannot be read"):
        backend.Backend.load(model, SETTINGS)


def test_what_the_recipe_says_is_held_against_the_file(backend: ModuleType, model: Path) -> None:
    write_recipe(model, **{**RECIPE, "pooling": "mean"})
    with pytest.raises(ModelError, match=r"model\.gguf pools by cls; the recipe says mean"):
        backend.Backend.load(model, SETTINGS)


def test_another_models_tokenizer_is_refused(backend: ModuleType, model: Path) -> None:
    Tokenizer(WordPiece({"[UNK]": 0, "alpha": 1})).save(str(model / "tokenizer.json"))
    write_recipe(model, **RECIPE)
    with pytest.raises(ModelError, match=r"tokenizer\.json has 2 tokens and model\.gguf 1724"):
        backend.Backend.load(model, SETTINGS)
