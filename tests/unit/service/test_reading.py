from __future__ import annotations

from pathlib import Path

import pytest

from embedding_service import tokens
from embedding_service.errors import (
    NoTokensError,
    TooLongError,
    UncountedError,
    UnknownPromptError,
    UnsupportedInputError,
)
from embedding_service.inputs import Asked, Image, Text, TokenIds
from embedding_service.reading import Read
from tests.unit.service.tiny_model import MAX_TOKENS, write_model
from tests.unit.service.tiny_reader import content, found, ids, reader, uncounted, whole

UNKNOWN = "strange"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def test_a_text_is_read_as_its_tokens(directory: Path) -> None:
    assert reader(directory).read("alpha beta", index=0) == Read(
        given=Text(content="alpha beta", ids=whole("alpha", "beta")),
        prompt=None,
        tokens=4,
        truncated=False,
    )


@pytest.mark.parametrize(
    ("text", "input_type", "default", "expected", "prompt"),
    [
        ("alpha", None, None, "alpha", None),
        ("alpha", None, "query", "query: alpha", "query"),
        ("alpha", "query", None, "query: alpha", "query"),
        ("alpha", "question", "query", "query: beta alpha", "question"),
        ("alpha", "document", "query", "alpha", "document"),
        ("", "query", None, "query: ", "query"),
        # What is there already is not put there twice, whatever is asked for.
        ("query: alpha", None, "query", "query: alpha", "query"),
        ("query: alpha", "query", None, "query: alpha", "query"),
        ("query: alpha", "question", None, "query: alpha", "query"),
        ("query: alpha", "document", None, "query: alpha", "query"),
        ("query: alpha", None, None, "query: alpha", "query"),
        ("query: ", "query", None, "query: ", "query"),
        # The longer prompt begins like the shorter one.
        ("query: beta alpha", "query", None, "query: beta alpha", "question"),
        # Only the beginning is one, and only all of it.
        ("alpha query: ", "query", None, "query: alpha query: ", "query"),
        ("query:", "query", None, "query: query:", "query"),
    ],
)
def test_the_prompt(
    directory: Path,
    *,
    text: str,
    input_type: str | None,
    default: str | None,
    expected: str,
    prompt: str | None,
) -> None:
    with_tokens = reader(directory, default_prompt=default)
    without = uncounted(directory, default_prompt=default)
    for each in (with_tokens, without):
        read = each.read(text, index=0, input_type=input_type)
        assert (content(read), read.prompt) == (expected, prompt)
    read = with_tokens.read(text, index=0, input_type=input_type)
    assert found(read) == whole(*expected.split())


def test_a_prompt_that_is_not_declared_is_refused(directory: Path) -> None:
    for each in (reader(directory), uncounted(directory)):
        with pytest.raises(
            UnknownPromptError, match="input types: document, query, question"
        ) as refusal:
            each.read("alpha", index=3, input_type="passage")
        assert refusal.value.index == 3
    with pytest.raises(UnknownPromptError, match="input types: none"):
        reader(directory, prompts={}).read("alpha", index=0, input_type="query")


def test_a_text_of_the_limit_is_taken_whole_and_a_longer_one_refused(directory: Path) -> None:
    limit = MAX_TOKENS - 2
    assert len(found(reader(directory).read("alpha " * limit, index=0))) == MAX_TOKENS
    with pytest.raises(TooLongError) as refusal:
        reader(directory).read("alpha " * (limit + 1), index=5)
    error = refusal.value
    assert (error.index, error.tokens, error.limit) == (5, MAX_TOKENS + 1, MAX_TOKENS)


def test_the_prompt_counts(directory: Path) -> None:
    text = "alpha " * (MAX_TOKENS - 2)
    with pytest.raises(TooLongError) as refusal:
        reader(directory).read(text, index=0, input_type="query")
    assert refusal.value.tokens == MAX_TOKENS + 1


def test_only_who_asks_for_it_gets_a_text_cut(directory: Path) -> None:
    words = ["alpha"] * 5 + ["beta", "gamma"]
    read = reader(directory).read(" ".join(words), index=0, truncate=True)
    assert read.truncated
    assert found(read) == whole(*words[:-1])
    fits = reader(directory).read(" ".join(words[:-1]), index=0, truncate=True)
    assert not fits.truncated
    assert found(fits) == whole(*words[:-1])


def test_the_prompt_is_not_cut_away(directory: Path) -> None:
    read = reader(directory).read("alpha " * 9, index=0, input_type="query", truncate=True)
    assert (read.truncated, read.prompt) == (True, "query")
    assert found(read) == whole("query:", *["alpha"] * 5)


@pytest.mark.parametrize(
    ("special_tokens", "before", "after"),
    [
        ("[CLS] $A [SEP]", ["[CLS]"], ["[SEP]"]),
        ("$A [SEP]", [], ["[SEP]"]),
        ("[CLS] [CLS] $A", ["[CLS]", "[CLS]"], []),
        ("$A", [], []),
    ],
)
def test_special_tokens_are_kept_where_a_text_is_cut(
    tmp_path: Path, special_tokens: str, before: list[str], after: list[str]
) -> None:
    directory = write_model(tmp_path, special_tokens=special_tokens)
    assert tokens.specials(tokens.tokenizer(directory)) == (ids(*before), ids(*after))
    kept = MAX_TOKENS - len(before) - len(after)
    read = reader(directory).read("alpha " * 20, index=0, truncate=True)
    assert found(read) == ids(*before, *["alpha"] * kept, *after)
    as_tokens = TokenIds(ids=ids(*["alpha"] * 20))
    assert found(reader(directory).read(as_tokens, index=0, truncate=True)) == found(read)


@pytest.mark.parametrize("asked", ["", "  ", TokenIds(ids=[])])
def test_what_has_no_token_is_refused(tmp_path: Path, asked: Asked) -> None:
    bare = reader(write_model(tmp_path / "bare", special_tokens="$A"))
    with pytest.raises(NoTokensError) as refusal:
        bare.read(asked, index=2)
    assert refusal.value.index == 2
    # The special tokens are some.
    assert found(reader(write_model(tmp_path / "model")).read(asked, index=0)) == whole()


def test_where_nobody_counts_texts_are_given_as_they_are(directory: Path) -> None:
    each = uncounted(directory)
    assert not each.counts_tokens
    assert reader(directory).counts_tokens
    text = "alpha " * 1000
    assert each.read(text, index=0) == Read(
        given=Text(content=text, ids=()), prompt=None, tokens=0, truncated=False
    )


@pytest.mark.parametrize(
    ("asked", "truncate", "said"),
    [
        ("alpha", True, "a text cannot be cut here: the tokenizer is the upstream's"),
        (TokenIds(ids=[4]), False, "tokens cannot be taken here"),
    ],
)
def test_where_nobody_counts_what_needs_tokens_is_refused(
    directory: Path, *, asked: Asked, truncate: bool, said: str
) -> None:
    with pytest.raises(UncountedError, match=said) as refusal:
        uncounted(directory).read(asked, index=4, truncate=truncate)
    assert refusal.value.index == 4


def test_an_image_has_no_prompt(directory: Path) -> None:
    each = reader(directory, inputs=["text", "image"], default_prompt="query")
    image = Image(content=b"anything")
    expected = Read(given=image, prompt=None, tokens=0, truncated=False)
    assert each.read(image, index=0, truncate=True) == expected


@pytest.mark.parametrize(
    ("inputs", "asked", "said"),
    [
        (["text"], Image(content=b""), "tiny takes text, and no image"),
        (["image"], "alpha", "tiny takes image, and no text"),
        (["image"], TokenIds(ids=[4]), "tiny takes image, and no text"),
    ],
)
def test_a_kind_that_the_model_does_not_take_is_refused(
    directory: Path, inputs: list[str], asked: Asked, said: str
) -> None:
    with pytest.raises(UnsupportedInputError, match=said) as refusal:
        reader(directory, inputs=inputs).read(asked, index=1)
    assert refusal.value.index == 1


def test_no_refusal_holds_any_of_the_text(directory: Path) -> None:
    each = reader(directory)
    secret = f"{UNKNOWN} " * 20
    for input_type in (None, UNKNOWN):
        with pytest.raises((TooLongError, UnknownPromptError)) as refusal:
            each.read(secret, index=0, input_type=input_type)
        assert UNKNOWN not in str(refusal.value)
