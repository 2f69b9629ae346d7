"""The order of Debian's version numbers (Debian Policy 5.6.12), for hosts without dpkg."""

from __future__ import annotations

import re

_Part = tuple[tuple[int, ...], int]

_PARTS = re.compile("([^0-9]*)([0-9]*)")
_EPOCH = re.compile("([0-9]+):(.*)", re.DOTALL)

_END = 0
_BEFORE_THE_END = -1
_AFTER_LETTERS = 0x110000
"""Greater than every code point."""


def is_newer(version: str, other: str) -> bool:
    """Tell whether a version, the first, is newer than another.

    Every text has a place in the order; that of malformed versions has no meaning.
    """
    return _key(version) > _key(other)


def _key(version: str) -> tuple[int, list[_Part], list[_Part]]:
    """Return what versions are ordered by: epoch, upstream version, revision."""
    match = _EPOCH.fullmatch(version)
    epoch, rest = match.groups() if match else ("0", version)
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch), _parts(upstream), _parts(revision)


def _parts(text: str) -> list[_Part]:
    """Return the alternating words and numbers of a text; no number is the number 0.

    The last part is always an empty one, which a further part is compared with: `1~` comes before
    `1`, and `1a` after it.
    """
    return [(_order(word), int(number or 0)) for word, number in _PARTS.findall(text or "0")]


def _order(word: str) -> tuple[int, ...]:
    """Return what words are ordered by: a tilde before the end, letters before other signs."""
    return (*(_rank(sign) for sign in word), _END)


def _rank(sign: str) -> int:
    if sign == "~":
        return _BEFORE_THE_END
    return ord(sign) if sign.isalpha() else ord(sign) + _AFTER_LETTERS
