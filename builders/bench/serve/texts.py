"""Texts with as many tokens as a measurement wants."""

from __future__ import annotations

import random

from builders.fixture.vocabulary import NATURAL, vocabulary

SPECIAL = 2
"""How many tokens every text has around its words."""

_SHORTEST = 3


def texts(count: int, *, tokens: int, seed: str) -> tuple[str, ...]:
    """Return texts that differ, of the fixture models' own words: each word is one token.

    Args:
        count: How many.
        tokens: How many each has, the special ones included.
        seed: Other ones for another seed.
    """
    chosen = random.Random(seed)  # noqa: S311 (texts, not secrets)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(chosen.choices(_WORDS, k=tokens - SPECIAL))] = None
    return tuple(found)


def _words() -> tuple[str, ...]:
    whole = (token for token in vocabulary(NATURAL) if token.isascii() and token.isalpha())
    return tuple(token for token in whole if len(token) >= _SHORTEST)


_WORDS = _words()
