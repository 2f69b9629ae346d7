from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer

from builders.fixture.tokenizer import tokenizer_json
from builders.fixture.vocabulary import NATURAL, SPECIAL, vocabulary


def continues(token: str) -> bool:
    return token.startswith("##") and len(token) > 2


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_str(tokenizer_json(NATURAL).decode())


def test_the_natural_vocabulary_comes_first() -> None:
    tokens = vocabulary(30528)

    assert len(set(tokens)) == 30528
    assert tokens[:5] == SPECIAL
    assert vocabulary(NATURAL) == tokens[:NATURAL]
    # The first part of three letters: everything before it was chosen.
    assert tokens[NATURAL] == "##aaa"


def test_every_chosen_token_can_occur(tokenizer: Tokenizer) -> None:
    for place, token in enumerate(vocabulary(NATURAL)[len(SPECIAL) :], start=len(SPECIAL)):
        if continues(token):
            # No token but one begins with this letter.
            assert tokenizer.encode(f"ß{token[2:]}", add_special_tokens=False).tokens == [
                "ß",
                token,
            ]
        else:
            assert tokenizer.encode(token, add_special_tokens=False).ids == [place]


def test_an_uncased_bert_tokenizer(tokenizer: Tokenizer) -> None:
    def tokens(text: str) -> list[str]:
        encoding: list[str] = tokenizer.encode(text).tokens
        return encoding

    assert tokens("Thinking") == ["[CLS]", "think", "##ing", "[SEP]"]
    assert tokens("THÉ thé the\u0301") == ["[CLS]", "the", "the", "the", "[SEP]"]
    assert tokens("水water火") == ["[CLS]", "水", "water", "火", "[SEP]"]
    assert tokens("tea,tea") == ["[CLS]", "tea", ",", "tea", "[SEP]"]
    assert tokens("\u10d0\u10d1") == ["[CLS]", "[UNK]", "[SEP]"]
    assert tokens("a" * 101) == ["[CLS]", "[UNK]", "[SEP]"]
    assert tokens(" \t\n") == tokens("") == ["[CLS]", "[SEP]"]
    assert tokenizer.encode("tea", "water").type_ids == [0, 0, 0, 1, 1]


def test_it_neither_truncates_nor_pads(tokenizer: Tokenizer) -> None:
    assert tokenizer.truncation is None
    assert tokenizer.padding is None
    assert len(tokenizer.encode("tea " * 5000).ids) == 5002


def test_tokenizers_reads_every_setting_of_the_file() -> None:
    written = json.loads(tokenizer_json(NATURAL))
    read = json.loads(Tokenizer.from_str(json.dumps(written)).to_str())

    assert read == written


def test_the_vocabulary_keeps_apart_in_gguf() -> None:
    """GGUF spells `[X]` as it is, `##x` as `x` and any other token with a mark before it."""
    words = [token for token in vocabulary(30528) if not continues(token)]
    parts = [token[2:] for token in vocabulary(30528) if continues(token)]
    spelled = {word if word in SPECIAL else f"▁{word}" for word in words} | set(parts)

    assert len(spelled) == 30528
