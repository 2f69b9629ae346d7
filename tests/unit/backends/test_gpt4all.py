"""What can be said of the backend without its library; tests/system/test_gpt4all.py has it."""

from __future__ import annotations

import sys
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
from tests.unit.backends import backend_module

BACKEND = matrix.load(ROOT / "matrix.yaml").backends["gpt4all"]
CORPUS = corpus.read(ROOT / corpus.COMMITTED)


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    return backend_module.load("gpt4all")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fixture") / "model"
    fixture.write("fixture-bert-384", "gguf", directory, "q8_0")
    return directory


def test_with_the_module_no_library_is_imported(backend: ModuleType) -> None:
    assert backend.Backend.libraries == ("gpt4all", "numpy", "tokenizers")
    assert "gpt4all" not in sys.modules


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
    ids: list[int] = tokenizer.encode(text).ids
    written, count = backend._Words(tokenizer).text(ids, 0)
    return ids, tokenizer.encode(written).ids, count


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
    loaded = backend.Backend(recipe, type("", (), {"tokenizer": None}), Embedder())
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
