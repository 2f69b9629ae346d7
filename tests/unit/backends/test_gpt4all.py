"""What can be said of the backend without its library; tests/system/test_gpt4all.py has it."""

from __future__ import annotations

import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece

from builders import corpus, fixture, matrix, preflight
from builders.lock import wheels as wheel_lock
from builders.lock.debian import Libraries
from builders.paths import ROOT
from embedding_service import tokens
from embedding_service.errors import InputError, ModelError
from embedding_service.settings import Settings
from tests.unit.service.tiny_model import write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})
RECIPE = {"format": "gguf", "dimension": 384, "max_tokens": 512, "pooling": "cls"}
BACKEND = matrix.load(ROOT / "matrix.yaml").backends["gpt4all"]
CORPUS = corpus.read(ROOT / corpus.COMMITTED)


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    """Load the file by its path: every backend's module has the same name."""
    spec = spec_from_file_location("gpt4all_backend", ROOT / "images/gpt4all/backend.py")
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
    assert backend.Backend.libraries == ("gpt4all", "numpy", "tokenizers")
    assert "gpt4all" not in sys.modules


def test_another_format_is_refused(backend: ModuleType, model: Path) -> None:
    write_recipe(model, **{**RECIPE, "format": "onnx"})
    with pytest.raises(ModelError, match="gpt4all takes models in the format gguf, not onnx"):
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


def test_a_tokenizer_that_is_no_wordpiece_is_refused(backend: ModuleType) -> None:
    words = WordLevel({"[UNK]": 0, "alpha": 1}, unk_token="[UNK]")  # noqa: S106
    with pytest.raises(ModelError, match="made of WordPiece's tokens, not WordLevel"):
        backend._Words(Tokenizer(words))


def test_a_tokenizer_that_knows_every_stranger_is_refused(backend: ModuleType) -> None:
    vocabulary = {"[UNK]": 0, **{c: n for n, c in enumerate(backend.UNKNOWN, start=1)}}
    with pytest.raises(ModelError, match=r"tokenizer\.json knows each of"):
        backend._Words(Tokenizer(WordPiece(vocabulary)))


def embedded(backend: ModuleType, model: Path, text: str) -> tuple[list[int], list[int], int]:
    """Return a text's tokens, those of the text that is written for them, and their number."""
    tokenizer = tokens.tokenizer(model)
    (encoding,) = tokens.encodings(tokenizer, [text], limit=2048)
    written, count = backend._Words(tokenizer).text(encoding, 0)
    return encoding.ids, tokenizer.encode(written).ids, count


@pytest.mark.parametrize(
    "text", CORPUS.without(BACKEND.refused_texts).texts, ids=lambda text: text.id
)
def test_the_text_that_is_written_has_the_same_tokens(
    backend: ModuleType, written: Path, text: corpus.Text
) -> None:
    asked, given, count = embedded(backend, written, text.text)
    assert given == asked
    assert count == len(asked) - 2


@pytest.mark.parametrize("text", CORPUS.only(BACKEND.refused_texts).texts, ids=lambda text: text.id)
def test_a_text_that_cannot_be_written_is_refused(
    backend: ModuleType, written: Path, text: corpus.Text
) -> None:
    with pytest.raises(InputError, match=r"gpt4all (can embed no text|reads no special tokens)"):
        embedded(backend, written, text.text)


def test_another_number_of_tokens_is_an_error(backend: ModuleType) -> None:
    class Embedder:
        """It finds one token more than it was given."""

        gpt4all = type("", (), {"backend": "cpu"})

        def embed(self, text: str, **_: object) -> dict[str, object]:
            return {"embeddings": [1.0], "n_prompt_tokens": len(text.split()) + 1}

    recipe = type("", (), {"max_tokens": 8})
    loaded = backend.Backend(recipe, None, Embedder())
    with pytest.raises(RuntimeError, match="3 tokens instead of 2"):
        loaded._vector("the fish", 2)


def test_the_lock_knows_what_the_wheel_asks_for_in_spite_of_its_label() -> None:
    """`manylinux1` promises GLIBC_2.5 at most; with an older base, preflight would refuse it."""
    lock = wheel_lock.read(ROOT / "images" / "gpt4all", "linux/amd64")
    (wheel,) = [wheel for wheel in lock.wheels if wheel.name == "gpt4all"]
    assert "manylinux1_x86_64" in wheel.file
    assert (wheel.contents.glibc, wheel.contents.glibcxx) == ("2.34", "3.4.29")
    bullseye = Libraries(glibc="2.31", glibcxx="3.4.28")
    assert preflight.wheel_reasons(wheel, "linux/amd64", bullseye) == (
        f"{wheel.file} asks for GLIBC_2.34, and the image has GLIBC_2.31",
        f"{wheel.file} asks for GLIBCXX_3.4.29, and the image has GLIBCXX_3.4.28",
    )
