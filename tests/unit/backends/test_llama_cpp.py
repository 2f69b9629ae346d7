"""What can be said of the backend without its library; tests/system/test_llama_cpp.py has it."""

from __future__ import annotations

import ctypes
import logging
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from builders import fixture
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from tests.unit.service.service_process import ROOT
from tests.unit.service.tiny_model import write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})
RECIPE = {
    "format": "gguf",
    "dimension": 384,
    "max_tokens": 512,
    "pooling": "cls",
    "precision": "q8_0",
}


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    """Load the file by its path: every backend's module has the same name."""
    spec = spec_from_file_location("llama_cpp_backend", ROOT / "images/llama-cpp/backend.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fixture") / "model"
    fixture.write("fixture-bert-384", "gguf", directory, "q8_0")
    return directory


@pytest.fixture
def model(written: Path, tmp_path: Path) -> Path:
    """A model directory that a test may spoil."""
    return Path(shutil.copytree(written, tmp_path / "model"))


def test_with_the_module_no_library_is_imported(backend: ModuleType) -> None:
    assert backend.Backend.libraries == ("llama-cpp-python", "numpy", "tokenizers")
    assert "llama_cpp" not in sys.modules


def test_another_format_is_refused(backend: ModuleType, model: Path) -> None:
    write_recipe(model, **{**RECIPE, "format": "onnx"})
    with pytest.raises(ModelError, match="llama-cpp takes models in the format gguf, not onnx"):
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
    Tokenizer(WordLevel({"[UNK]": 0, "alpha": 1}, unk_token="[UNK]")).save(  # noqa: S106
        str(model / "tokenizer.json")
    )
    write_recipe(model, **RECIPE)
    with pytest.raises(ModelError, match=r"tokenizer\.json has 2 tokens and model\.gguf 1724"):
        backend.Backend.load(model, SETTINGS)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("libggml-cpu-haswell.so", "haswell"),
        ("libggml-cpu-armv8.2_3.so", "armv8.2_3"),
    ],
)
def test_a_variant_is_named_as_llama_cpp_names_it(
    backend: ModuleType, file: str, name: str
) -> None:
    assert backend.variant_name(Path(file)) == name


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has variants")
def test_only_a_library_that_the_process_has_is_loaded(backend: ModuleType, tmp_path: Path) -> None:
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    mapped = next(Path(line.split()[-1]) for line in maps if "/libc.so" in line)
    other = Path(shutil.copy(mapped, tmp_path / "libggml-cpu-haswell.so"))
    assert backend._is_loaded(mapped)
    assert not backend._is_loaded(other)
    ctypes.CDLL(str(other))
    assert backend._is_loaded(other)


def test_only_errors_of_the_library_are_logged_as_such(
    backend: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="llama.cpp")
    for level, text in ((2, b"loaded\n"), (3, b"odd\n"), (4, b"fail\xff\n"), (5, b".")):
        backend._LOG(level, text, None)
    backend._LOG(4, b"\n", None)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "loaded"),
        ("DEBUG", "odd"),
        ("ERROR", "fail\ufffd"),
        ("DEBUG", "."),
    ]
