"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` where a known name is near to the word, or else nothing."""
    near = difflib.get_close_matches(word, tuple(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
