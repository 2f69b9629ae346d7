"""The end of a run: what became of every cell, with the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from builders.report import left_out, terminal
from builders.report.terminal import Marks

Result = Literal["passed", "unchanged", "built", "failed", "refused", "absent", "left out"]

WIDE = 120
"""Columns from which on a cell's figures stand beside its id, and not below it."""

STYLES: dict[Result, str] = {
    "passed": "green",
    "unchanged": "green",
    "built": "green",
    "failed": "bold red",
    "refused": "yellow",
    "absent": "yellow",
    "left out": "dim",
}

WITHOUT_FIGURES: tuple[Result, ...] = ("refused", "absent", "left out")
"""The results of cells that nothing was done for."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of a cell. What was not reached is None."""

    cell: str
    result: Result
    """`unchanged`: an earlier run's verdict holds, and nothing was done. `built`: a machine that
    tests it is elsewhere. `refused`: by its locks, as matrix.yaml expects (one that is refused
    unexpectedly has failed). `absent`: the vectors of a host that is elsewhere, which nobody
    brought."""
    reason: str = ""
    """Why it failed, was refused or left out; of another, what people should know."""
    digest: str | None = None
    """`sha256:…` of the image's manifest."""
    size_mb: float | None = None
    """Compressed, in 10^6 bytes."""
    emulated: bool | None = None
    parity: tuple[float, float] | None = None
    """The figure that is nearest to its limit, or farthest beyond it, and that limit."""
    seconds: float | None = None
    drifted: bool = False
    """Whether it is made of other Debian packages than those locked: it cannot be released."""


def report(rows: Sequence[Row], console: Console, elapsed: str) -> RenderableType:
    """Return the end of a run for a console: a table, or where it is narrow, lines for each cell.

    Args:
        rows: The cells.
        console: What it is for; its width and encoding count.
        elapsed: How long the run took, in words.
    """
    marks = terminal.marks(console)
    worked_on = [row for row in rows if row.result not in WITHOUT_FIGURES]
    others = [row for row in rows if row.result in WITHOUT_FIGURES]
    if console.width < WIDE:
        blocks = Group(*(line for row in worked_on for line in _block(row, marks)))
        cells = Group(blocks, _reasons(others, marks, console.width))
    else:
        cells = Group(_table(worked_on, marks), _reasons(others, marks, console.width))
    return Group("", cells, "", f"{_counts(rows)} in {elapsed}")


def markdown(rows: Sequence[Row], elapsed: str) -> str:
    """Return the end of a run as Markdown, for a job's summary page."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|--:|---|--:|--:|---|"]
    for row in rows:
        cells = (_escaped(text) for text in (row.cell, *_figures(row), _result(row)))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"{_counts(rows)} in {elapsed}", ""])


COLUMNS = ("cell", "digest", "size", "runs", "worst parity / limit", "time", "result")


def _counts(rows: Sequence[Row]) -> str:
    """Return how many cells came out how: `2 passed, 1 failed, 3 left out`."""
    found = Counter(row.result for row in rows)
    return ", ".join(f"{found[result]} {result}" for result in STYLES if found[result])


def _table(rows: Sequence[Row], marks: Marks) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in COLUMNS[:-1]:
        number = name in ("size", "worst parity / limit", "time")
        grid.add_column(name, no_wrap=True, justify="right" if number else "left")
    grid.add_column(COLUMNS[-1], overflow="fold")
    for row in rows:
        digest, size, runs, parity, time = _figures(row)
        grid.add_row(
            _name(row, marks),
            Text(digest, style="cyan"),
            size,
            _runs(runs),
            parity,
            time,
            Text(_result(row), style=_style(row)),
        )
    return grid


def _reasons(rows: Sequence[Row], marks: Marks, width: int) -> Group:
    """Return cells that have no figures: each reason once, and below it the cells it is for."""
    found: list[RenderableType] = []
    for kind in WITHOUT_FIGURES:
        cells = [(row.cell, _result(row)) for row in rows if row.result == kind]
        for line in left_out.lines(cells, width=width - 2, most=left_out.MOST_NAMES):
            mark = " " if line.startswith(" ") else marks.left_out
            found.append(Text(f"{mark} {line}", style=STYLES[kind]))
    return Group(*found)


def _block(row: Row, marks: Marks) -> Iterator[RenderableType]:
    """Yield the lines for one cell: its id, and below it the figures that there are."""
    digest, size, runs, parity, time = _figures(row)
    parts = (
        Text(digest, style="cyan"),
        Text(size),
        _runs(runs),
        Text(f"parity {parity}" if parity else ""),
        Text(time),
    )
    figures = Text("  ").join(part for part in parts if part.plain)
    yield _name(row, marks)
    if figures.plain:
        yield Padding(figures, (0, 0, 0, 2))
    if row.result != "passed" or row.drifted or row.reason:
        yield Padding(Text(_result(row), style=_style(row)), (0, 0, 0, 2))


def _name(row: Row, marks: Marks) -> Text:
    other = {"failed": marks.failed, **dict.fromkeys(WITHOUT_FIGURES, marks.left_out)}
    mark = other.get(row.result, marks.passed)
    return Text.assemble((f"{mark} ", STYLES[row.result]), row.cell)


def _figures(row: Row) -> tuple[str, str, str, str, str]:
    """Return digest, size, how it ran, parity and time, each as text or empty."""
    return (
        (row.digest or "").removeprefix("sha256:")[:12],
        "" if row.size_mb is None else f"{row.size_mb:.1f} MB",
        {None: "", False: "native", True: "emulated"}[row.emulated],
        "" if row.parity is None else "{:.2g} / {:.2g}".format(*row.parity),
        "" if row.seconds is None else terminal.duration(row.seconds),
    )


def _runs(runs: str) -> Text:
    return Text(runs, style="yellow" if runs == "emulated" else "")


def _result(row: Row) -> str:
    result: str = row.result
    if row.result == "refused":
        result = "refused, as expected"
    elif row.drifted:
        result = f"{row.result}, drifted"
    return f"{result}: {row.reason}" if row.reason else result


def _style(row: Row) -> str:
    """Return a result's style: one that passed but is not as it should be stands out."""
    stands_out = row.drifted or row.reason
    return "yellow" if stands_out and row.result in ("passed", "unchanged") else STYLES[row.result]


def _escaped(text: str) -> str:
    """Return a text that cannot end a Markdown table's cell or line, or be read as HTML."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;")):
        text = text.replace(character, entity)
    return " ".join(text.split())
