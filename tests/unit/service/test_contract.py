from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

import numpy as np
import pytest
from tokenizers import Tokenizer

from embedding_service import contract, recipe, tokens
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import (
    EmbeddingError,
    ModelError,
    TooLongError,
    UnsupportedInputError,
)
from embedding_service.inputs import Given, Image, Input, Text
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings
from tests.unit.service.tiny_model import write_model, write_recipe


class Lengths:
    """A backend whose vectors hold the lengths of its inputs."""

    name: ClassVar[str] = "lengths"
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    capabilities = Capabilities(text=True, image=False, max_tokens=8, batching="none")
    tokenizer: Tokenizer | None = None
    runtime: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        return cls()

    def embed(self, inputs: Sequence[Given]) -> Vectors:
        lengths = [[len(each.content)] * 6 for each in inputs]
        return np.array(lengths, dtype=np.float32)

    def close(self) -> None:
        pass


class Lacks(Lengths):
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "no-such-library")


class Sees(Lengths):
    """Images are as long as their files."""

    capabilities = Capabilities(text=True, image=True, max_tokens=8, batching="none")


class Leaks(Lengths):
    def embed(self, inputs: Sequence[Given]) -> Vectors:
        raise ValueError(f"cannot embed {inputs}")


class Refuses(Lengths):
    def embed(self, inputs: Sequence[Given]) -> Vectors:
        raise TooLongError(index=0, tokens=9, limit=8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", normalize=False)


@pytest.fixture
def raw(model: Path) -> Recipe:
    return recipe.read(model)


SETTINGS = Settings.from_environment({})


def test_without_normalisation_any_length_is_right(raw: Recipe) -> None:
    assert contract.embed(Lengths(), raw, ["abc", ""])[:, 0].tolist() == [3, 0]


def test_each_text_stands_behind_the_default_prompt(raw: Recipe) -> None:
    prompted = raw.model_copy(update={"default_prompt": "query"})
    assert contract.embed(Lengths(), prompted, ["abc", ""])[:, 0].tolist() == [10, 7]


def test_a_backend_that_takes_tokens_is_given_them(model: Path, raw: Recipe) -> None:
    class Counts(Lengths):
        tokenizer: Tokenizer | None = tokens.tokenizer(model)

        def embed(self, inputs: Sequence[Given]) -> Vectors:
            given = [each.ids for each in inputs if isinstance(each, Text)]
            return np.array([[len(ids)] * 6 for ids in given], dtype=np.float32)

    assert contract.embed(Counts(), raw, ["alpha beta", ""])[:, 0].tolist() == [4, 2]
    with pytest.raises(TooLongError) as refusal:
        contract.embed(Counts(), raw, ["alpha", "alpha " * 7])
    assert refusal.value.index == 1


def test_an_image_stands_behind_no_prompt(raw: Recipe) -> None:
    both = raw.model_copy(update={"default_prompt": "query", "inputs": ["text", "image"]})
    inputs: list[Input] = ["abc", Image(content=b"12345"), ""]
    assert contract.embed(Sees(), both, inputs)[:, 0].tolist() == [10, 5, 7]


@pytest.mark.parametrize(
    ("takes", "given", "message"),
    [
        (["text"], ["a", Image(content=b"secret")], "tiny takes text, and no image"),
        (["image"], [Image(content=b"x"), "secret"], "tiny takes image, and no text"),
    ],
)
def test_an_input_that_the_model_does_not_take_is_refused(
    raw: Recipe, takes: list[str], given: list[Input], message: str
) -> None:
    with pytest.raises(UnsupportedInputError) as refusal:
        contract.embed(Sees(), raw.model_copy(update={"inputs": takes}), given)
    assert (str(refusal.value), refusal.value.index) == (message, 1)


def test_a_backend_that_cannot_take_what_the_model_takes_is_refused(
    model: Path, raw: Recipe
) -> None:
    both = raw.model_copy(update={"inputs": ["text", "image"]})
    with pytest.raises(ModelError, match="lengths makes no vectors of image, which tiny takes"):
        contract.load(model, both, Lengths, SETTINGS)
    assert isinstance(contract.load(model, both, Sees, SETTINGS), Sees)


def test_with_normalisation_one_vector_of_another_length_is_refused(raw: Recipe) -> None:
    unit = raw.model_copy(update={"normalize": True})
    with pytest.raises(EmbeddingError, match=r"a vector of length 4\.89898"):
        contract.embed(Lengths(), unit, ["a", "bc"])


def test_another_dimension_is_refused(raw: Recipe) -> None:
    wide = raw.model_copy(update={"dimension": 768})
    with pytest.raises(EmbeddingError, match=r"shape \(2, 6\) for tiny.* shape \(2, 768\)"):
        contract.embed(Lengths(), wide, ["a", "b"])


def test_a_librarys_message_may_hold_the_text_and_is_kept_from_ours(raw: Recipe) -> None:
    with pytest.raises(EmbeddingError) as failure:
        contract.embed(Leaks(), raw, ["secret"])
    assert str(failure.value) == "lengths failed with ValueError"
    assert "secret" in str(failure.value.__cause__)


def test_a_refused_input_stays_what_it_is(raw: Recipe) -> None:
    with pytest.raises(TooLongError, match=r"the text has 9 tokens.* the model takes 8"):
        contract.embed(Refuses(), raw, ["a"])


def test_the_files_are_verified_before_the_backend_sees_them(model: Path, raw: Recipe) -> None:
    (model / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="altered"):
        contract.load(model, raw, Lengths, SETTINGS)


def test_a_model_of_its_recipe_is_loaded(model: Path, raw: Recipe) -> None:
    write_recipe(model, normalize=False)
    assert isinstance(contract.load(model, raw, Lengths, SETTINGS), Lengths)


def test_the_versions_are_those_installed() -> None:
    assert contract.library_versions(Lengths) == {"numpy": np.__version__}


def test_a_library_that_is_not_installed_is_named() -> None:
    with pytest.raises(ModelError, match="backend lengths needs no-such-library: not installed"):
        contract.library_versions(Lacks)
