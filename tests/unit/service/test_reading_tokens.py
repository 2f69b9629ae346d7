"""Reading what clients have tokenised themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from builders.fixture.siglip_tokenizer import tokenizer_json
from embedding_service.errors import (
    TokenRangeError,
    TooLongError,
)
from embedding_service.inputs import TokenIds
from tests.unit.service.tiny_model import VOCABULARY, write_model
from tests.unit.service.tiny_reader import content, found, ids, reader, whole


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


@pytest.mark.parametrize("words", [["alpha"], ["alpha", "beta", "gamma"], [], ["[UNK]", "beta"]])
@pytest.mark.parametrize("default", [None, "query"])
def test_tokens_are_read_with_or_without_the_special_ones(
    directory: Path, words: list[str], default: str | None
) -> None:
    each = reader(directory, default_prompt=default)
    bare = each.read(TokenIds(ids=ids(*words)), index=0)
    assert each.read(TokenIds(ids=whole(*words)), index=0) == bare
    assert found(bare) == whole(*(["query:"] if default else []), *words)
    assert bare.prompt == default


def test_tokens_of_a_text_are_that_text(directory: Path) -> None:
    each = reader(directory, default_prompt="query")
    for text in ("alpha beta", "query: alpha", "query: beta gamma", ""):
        asked = TokenIds(ids=tuple(ids(*text.split())))
        for input_type in (None, "query", "document", "question"):
            assert found(each.read(asked, index=0, input_type=input_type)) == found(
                each.read(text, index=0, input_type=input_type)
            )


def test_half_of_the_special_tokens_are_part_of_the_text(directory: Path) -> None:
    read = reader(directory).read(TokenIds(ids=ids("[CLS]", "alpha")), index=0)
    assert found(read) == ids("[CLS]", "[CLS]", "alpha", "[SEP]")


def test_one_special_token_is_not_two(tmp_path: Path) -> None:
    each = reader(write_model(tmp_path, special_tokens="[SEP] $A [SEP]"))
    read = each.read(TokenIds(ids=ids("[SEP]")), index=0)
    assert found(read) == ids("[SEP]", "[SEP]", "[SEP]")


def test_the_space_after_a_prompt_belongs_to_the_first_word(tmp_path: Path) -> None:
    """With SentencePiece's tokenizers, a prompt's tokens depend on what follows."""
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    each = reader(tmp_path, max_tokens=64, default_prompt="query")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    asked = TokenIds(ids=tokenizer.encode("the cat").ids)
    read = each.read(asked, index=0)
    assert found(read) == tokenizer.encode("query: the cat").ids
    assert (content(read), read.prompt) == ("query: the cat", "query")


def test_tokens_that_are_no_texts_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    each = reader(tmp_path, max_tokens=64, default_prompt="query")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    numbers = tokenizer.get_vocab()
    odd = [numbers[piece] for piece in ("▁the", "t", "h", "<0xC3>", "▁cat")]
    assert tokenizer.encode(tokenizer.decode(odd), add_special_tokens=False).ids != odd
    prompt, end = tokenizer.encode("query: ", add_special_tokens=False).ids, numbers["<eos>"]
    for asked in (odd, [*odd, end], [*prompt, *odd], [*prompt, *odd, end]):
        read = each.read(TokenIds(ids=asked), index=0)
        assert (found(read), read.prompt) == ([*prompt, *odd, end], "query")
    plain = reader(tmp_path, max_tokens=64).read(TokenIds(ids=odd), index=0)
    assert (found(plain), plain.prompt) == ([*odd, end], None)


@pytest.mark.parametrize("token", [-1, len(VOCABULARY), 10**30])
def test_a_token_of_no_vocabulary_is_refused(directory: Path, token: int) -> None:
    with pytest.raises(TokenRangeError, match=f"which are 0 to {len(VOCABULARY) - 1}") as refusal:
        reader(directory).read(TokenIds(ids=[4, token, 5]), index=1)
    assert refusal.value.index == 1


def test_too_many_tokens_are_too_long_a_text(directory: Path) -> None:
    with pytest.raises(TooLongError) as refusal:
        reader(directory).read(TokenIds(ids=[4] * 100), index=0)
    assert refusal.value.tokens == 102
