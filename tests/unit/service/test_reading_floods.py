"""Texts and tokens that are far too many: refused, or cut, without work for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedding_service.errors import TooLongError
from embedding_service.inputs import TokenIds
from embedding_service.reading import CHARACTERS
from tests.unit.service.tiny_model import MAX_TOKENS, write_model
from tests.unit.service.tiny_reader import found, ids, reader

READ = CHARACTERS * MAX_TOKENS
"""How many characters of a long text are read."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def test_of_a_text_that_is_far_too_long_the_beginning_says_so(directory: Path) -> None:
    words = READ // len("alpha ") + 1  # the last one is cut in two
    with pytest.raises(TooLongError, match=f"more than {words + 2} tokens") as refusal:
        reader(directory).read("alpha " * 100_000, index=3)
    assert (refusal.value.index, refusal.value.tokens) == (3, words + 2)


def test_a_text_that_is_read_whole_is_counted_exactly(directory: Path) -> None:
    words = READ // len("alpha ")
    with pytest.raises(TooLongError, match=f"has {words + 2} tokens"):
        reader(directory).read("alpha " * words, index=0)


def test_blanks_are_no_tokens_however_many(directory: Path) -> None:
    read = reader(directory).read("alpha" + " " * 3 * READ + "beta", index=0)
    assert found(read) == ids("[CLS]", "alpha", "beta", "[SEP]")


def test_blanks_do_not_hide_that_a_text_is_too_long(directory: Path) -> None:
    with pytest.raises(TooLongError) as refusal:
        reader(directory).read(" " * READ + "alpha " * 2 * READ, index=0)
    assert refusal.value.tokens == 2 * READ + 2


def test_the_beginning_is_what_is_kept_of_a_text_that_is_cut(directory: Path) -> None:
    text = "alpha beta gamma " * 100
    long = reader(directory).read(text * 100, index=0, input_type="query", truncate=True)
    assert len(text) > READ
    assert found(long) == found(
        reader(directory).read(text[: READ // 2], index=0, input_type="query", truncate=True)
    )
    assert long.truncated


@pytest.mark.parametrize(("input_type", "tokens"), [(None, 0), ("query", 1)])
def test_tokens_are_counted_without_a_look_at_each(
    directory: Path, input_type: str | None, tokens: int
) -> None:
    many = [*ids("alpha") * 1_000_000, 10**30]
    with pytest.raises(TooLongError) as refusal:
        reader(directory).read(TokenIds(ids=many), index=0, input_type=input_type)
    assert refusal.value.tokens == len(many) + 2 + tokens


def test_many_tokens_are_cut_like_a_few_too_many(directory: Path) -> None:
    few, many = (
        reader(directory).read(TokenIds(ids=ids("alpha") * count), index=0, truncate=True)
        for count in (MAX_TOKENS, 1_000_000)
    )
    assert found(few) == found(many)
    assert few.truncated
    assert many.truncated
