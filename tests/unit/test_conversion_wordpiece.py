"""The vocabulary of a tokenizer.json, and which ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from builders.conversion import wordpiece
from builders.errors import ModelError
from builders.fixture.tokenizer import tokenizer_json
from builders.fixture.vocabulary import SPECIAL, vocabulary

TEXT = tokenizer_json(500)


def test_tokens_and_settings_are_read() -> None:
    found = wordpiece.read(TEXT)

    assert found.tokens == vocabulary(500)
    assert found.special == frozenset(SPECIAL)
    assert dict(found.ids) == {token: place for place, token in enumerate(SPECIAL)}
    assert (found.lowercase, found.strip_accents, found.handle_chinese_chars) == (True, None, True)


def _unigram(document: dict[str, Any]) -> None:
    document["model"]["type"] = "Unigram"


def _gap(document: dict[str, Any]) -> None:
    document["model"]["vocab"]["later"] = 600


def _other_prefix(document: dict[str, Any]) -> None:
    document["model"]["continuing_subword_prefix"] = "@@"


def _no_mask(document: dict[str, Any]) -> None:
    vocab = {token: place for place, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]"))}
    document["model"]["vocab"] = vocab
    document["added_tokens"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_unigram, "its tokenizer is Unigram"),
        (_gap, "without a gap"),
        (_other_prefix, "'@@'"),
        (_no_mask, r"it has no \[MASK\]"),
        (lambda document: document.pop("model"), "not a tokenizer"),
    ],
)
def test_another_tokenizer_is_refused(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    document = json.loads(TEXT)
    change(document)

    with pytest.raises(ModelError, match=message):
        wordpiece.read(json.dumps(document).encode())
