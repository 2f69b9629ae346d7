"""The vocabulary of a WordPiece tokenizer, out of its tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from builders.errors import ModelError

CONTINUATION = "##"
"""What marks a token that continues a word."""

Role = Literal["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
"""A special token that every BERT has, by the name that it always has."""

_ROLES: tuple[Role, ...] = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True, kw_only=True)
class WordPiece:
    """What a tokenizer knows.

    Attributes:
        tokens: A token's place is its id.
        special: Those that no text has.
        ids: The ids of BERT's special tokens.
        lowercase: Whether texts are made lower-case.
        strip_accents: Whether accents are dropped; None: where texts are made lower-case.
        handle_chinese_chars: Whether ideographs are words of their own.
    """

    tokens: tuple[str, ...]
    special: frozenset[str]
    ids: Mapping[Role, int]
    lowercase: bool
    strip_accents: bool | None
    handle_chinese_chars: bool


def read(content: bytes, *, where: str = "tokenizer.json") -> WordPiece:
    """Read a tokenizer.json.

    Raises:
        ModelError: It is none, or not WordPiece with BERT's normalizer and special tokens.
    """
    try:
        document: dict[str, Any] = json.loads(content)
        kind = document["model"].get("type")
        normalizer = document["normalizer"] or {}
        if kind != "WordPiece" or normalizer.get("type") != "BertNormalizer":
            raise ModelError(
                f"its tokenizer is {kind} with {normalizer.get('type')}",
                where=where,
                remedy="only BERT's WordPiece is converted: give a format that is there already",
            )
        return _wordpiece(document, where)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"not a tokenizer ({type(error).__name__}: {error})",
            where=where,
            remedy="give a tokenizer.json of Hugging Face's tokenizers",
        ) from error


def _wordpiece(document: dict[str, Any], where: str) -> WordPiece:
    model, normalizer = document["model"], document["normalizer"]
    added = document.get("added_tokens") or []
    places: dict[str, int] = {**model["vocab"], **{each["content"]: each["id"] for each in added}}
    tokens = tuple(sorted(places, key=places.__getitem__))
    if [places[token] for token in tokens] != list(range(len(tokens))):
        raise ModelError("its tokens are not numbered from 0 without a gap", where=where)
    if (prefix := model["continuing_subword_prefix"]) != CONTINUATION:
        raise ModelError(f"it marks what continues a word by {prefix!r}", where=where)
    missing = [role for role in _ROLES if role not in places]
    if missing:
        raise ModelError(f"it has no {', '.join(missing)}", where=where)
    return WordPiece(
        tokens=tokens,
        special=frozenset(each["content"] for each in added if each["special"]),
        ids={role: places[role] for role in _ROLES},
        lowercase=normalizer["lowercase"],
        strip_accents=normalizer["strip_accents"],
        handle_chinese_chars=normalizer["handle_chinese_chars"],
    )
