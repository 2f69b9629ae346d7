"""A check: one statement about one image, with its figure and its limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST_DETAILS = 20
"""How many findings a check lists; the rest are counted."""


Figure = int | float | str | None
"""What was measured or asked for. Counts stay counts when a verdict is written and read."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a verdict.

    Attributes:
        name: A stable identifier in kebab case, such as `wheel-record`.
        passed: Whether the image is what the check demands.
        figure: What was measured, if anything was.
        limit: What the figure was held against, if anything.
        details: What failed (or, of a passing check, what is worth knowing).
    """

    name: str
    passed: bool
    figure: Figure = None
    limit: Figure = None
    details: tuple[str, ...] = ()


def from_findings(
    name: str,
    findings: Iterable[str],
    *,
    figure: Figure = None,
    limit: Figure = None,
) -> Check:
    """Return the check that passes when nothing was found, and lists what was.

    Findings quote what archives hold: control characters are written out, so that none of them
    reaches a terminal.
    """
    found = tuple(map(_printable, findings))
    listed = found[:MOST_DETAILS]
    more = len(found) - len(listed)
    return Check(
        name=name,
        passed=not found,
        figure=figure,
        limit=limit,
        details=(*listed, f"and {more} more") if more else listed,
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
