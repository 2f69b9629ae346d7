"""Cells that nothing is done for, by reason: there are many more of them than of the others."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

WIDEST = 120
INDENT = " " * 4

MOST_NAMES = 4
"""How many images the end of a run names for one reason; the plan names all."""


def lines(
    cells: Iterable[tuple[str, str]], *, width: int, most: int | None = None
) -> Iterator[str]:
    """Yield lines of text: each reason once, and below it the cells that it is for.

    Args:
        cells: The id of each, and what became of it: `left out: …`.
        width: Columns that a line may have; no more than a reader's eye can follow are used.
        most: How many names there may be for a reason; of more, it is told how many there are.
    """
    found: dict[str, list[str]] = {}
    for cell, reason in cells:
        found.setdefault(reason, []).append(cell)
    for reason, names in found.items():
        yield f"{len(names)} cell{'' if len(names) == 1 else 's'} {reason}"
        for line in named(names, most=most):
            yield from textwrap.wrap(
                line,
                width=min(width, WIDEST),
                initial_indent=INDENT,
                subsequent_indent=INDENT,
                break_long_words=False,
                break_on_hyphens=False,
            )


def named(cells: Iterable[str], *, most: int | None = None) -> tuple[str, ...]:
    """Return cells as lines: what is left out on the same platforms stands in one.

    Args:
        cells: Their ids, `<backend>-<model>-<os>-<arch>`.
        most: How many names there may be; of more, the last line tells how many there are.
    """
    platforms: dict[str, list[str]] = {}
    for cell in cells:
        pair, system, machine = cell.rsplit("-", 2)
        platforms.setdefault(pair, []).append(f"{system}/{machine}")
    pairs: dict[tuple[str, ...], list[str]] = {}
    for pair, own in platforms.items():
        pairs.setdefault(tuple(own), []).append(pair)
    left = len(platforms) if most is None else most
    found = []
    for places, those in pairs.items():
        if shown := those[: max(0, left)]:
            found.append(f"{', '.join(shown)} ({', '.join(places)})")
        left -= len(those)
    if left < 0:
        found.append(f"and {-left} more: `nox -s plan` names them")
    return tuple(found)
