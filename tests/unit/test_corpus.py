from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from builders.corpus import read
from builders.errors import ReferenceVectorsError
from builders.fixture.tokenizer import tokenizer_json
from builders.fixture.vocabulary import NATURAL

PATH = Path(__file__).parents[1] / "corpus" / "corpus.jsonl"
LINES = PATH.read_bytes().decode("utf-8").splitlines(keepends=True)
ENTRIES = {
    entry["id"]: entry for entry in map(json.loads, PATH.read_text("utf-8").split("\n")[:-1])
}
TEXTS = {identifier: str(entry["text"]) for identifier, entry in ENTRIES.items()}

KINDS = {
    "accents", "answer", "case", "character", "cjk", "code", "control", "cyrillic", "devanagari",
    "digits", "emoji", "empty", "greek", "hangul", "long", "long-word", "near", "passage", "prompt",
    "punctuation", "question", "repeated", "rtl", "thai", "unknown-script", "url", "width", "word",
}  # fmt: skip
SAME_TOKENS = [
    {"accents-nfc", "accents-nfd"},
    {"case-lower", "case-upper"},
    {"empty", "whitespace"},
    {"hangul-nfc", "hangul-nfd"},
]
WITH_UNKNOWN_TOKENS = {"digits-units", "long-word", "unknown-script", "width"}


@pytest.fixture(scope="module")
def tokens() -> dict[str, list[str]]:
    tokenizer = Tokenizer.from_str(tokenizer_json(NATURAL).decode())
    return {identifier: tokenizer.encode(text).tokens for identifier, text in TEXTS.items()}


def test_the_file_is_read() -> None:
    corpus = read(PATH)

    assert corpus.ids == tuple(TEXTS)
    assert len(corpus.ids) >= 64
    assert [text.text for text in corpus.texts] == list(TEXTS.values())


def test_every_line_is_one_text_with_a_plain_id() -> None:
    assert len(LINES) == len(ENTRIES)
    for line in LINES:
        assert line.endswith("}\n")
        assert list(json.loads(line))[:3] == ["id", "kind", "text"]
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", identifier) for identifier in TEXTS)


def test_every_kind_is_there() -> None:
    assert {entry["kind"] for entry in ENTRIES.values()} == KINDS


def test_nothing_in_the_file_can_change_unseen() -> None:
    """What an editor or a tool might normalise, hide or drop is written as an escape."""
    raw = "".join(LINES)

    assert unicodedata.normalize("NFC", raw) == raw
    unseen = {"Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs"}
    found = {letter for letter in raw if unicodedata.category(letter) in unseen} - {" ", "\n"}
    assert not found


def test_texts_that_no_service_must_refuse() -> None:
    for text in TEXTS.values():
        assert "\0" not in text
        text.encode("utf-8")  # no lone surrogates


def test_lengths(tokens: dict[str, list[str]]) -> None:
    lengths = {identifier: len(tokens[identifier]) for identifier in TEXTS}

    assert 400 <= lengths["long-english"] < 480
    assert 250 <= lengths["long-chinese"] < 480
    assert max(lengths.values()) < 480
    assert lengths["empty"] == lengths["whitespace"] == 2
    assert all(lengths[identifier] == 3 for identifier in TEXTS if identifier.startswith("char"))


def test_emulated_texts_are_few_and_short_and_of_different_kinds(
    tokens: dict[str, list[str]],
) -> None:
    chosen = [identifier for identifier, entry in ENTRIES.items() if entry.get("emulated")]

    assert 5 <= len(chosen) <= 8
    assert len({ENTRIES[identifier]["kind"] for identifier in chosen}) == len(chosen)
    assert max(len(tokens[identifier]) for identifier in chosen) <= 64


def test_only_these_texts_are_the_same_to_the_tokenizer(tokens: dict[str, list[str]]) -> None:
    same = defaultdict(set)
    for identifier, found in tokens.items():
        same[tuple(found)].add(identifier)
    others = [[identifier] for identifier in TEXTS if identifier not in set().union(*SAME_TOKENS)]

    assert sorted(map(sorted, same.values())) == sorted([*map(sorted, SAME_TOKENS), *others])


def test_scripts_are_known_to_the_tokenizer(tokens: dict[str, list[str]]) -> None:
    unknown = {identifier for identifier, found in tokens.items() if "[UNK]" in found}

    assert unknown == WITH_UNKNOWN_TOKENS


@pytest.mark.parametrize("kind", ["accents", "hangul"])
def test_composed_and_decomposed_are_one_text_in_two_forms(kind: str) -> None:
    composed, decomposed = TEXTS[f"{kind}-nfc"], TEXTS[f"{kind}-nfd"]

    assert composed != decomposed
    assert composed == unicodedata.normalize("NFC", decomposed)
    assert decomposed == unicodedata.normalize("NFD", composed)


def test_near_duplicates_differ_in_one_word() -> None:
    def different(one: str, other: str) -> int:
        return len(set(TEXTS[one].split()) ^ set(TEXTS[other].split()))

    assert different("near-nine", "near-ten") == 2
    assert different("near-invoice", "near-invoice-other") == 2
    assert different("near-order", "near-order-swapped") == 0


def test_one_word_is_longer_than_wordpiece_takes() -> None:
    assert max(map(len, TEXTS["long-word"].split())) > 100


def test_texts_may_be_left_out_or_chosen() -> None:
    found = read(PATH)
    rest, chosen = found.without(["empty", "url"]), found.only(["url", "empty"])
    assert set(chosen.ids) == {"empty", "url"}
    assert set(rest.ids) == set(found.ids) - {"empty", "url"}


def test_a_text_that_there_is_not_cannot_be_chosen() -> None:
    found = read(PATH)
    with pytest.raises(ReferenceVectorsError, match="the corpus has no url2") as caught:
        found.only(["url", "url2"])
    assert "refused_texts" in caught.value.remedy
