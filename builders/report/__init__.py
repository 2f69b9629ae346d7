"""What people see while a run goes on, and at its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self, TextIO

from builders.report import terminal
from builders.report.lines import LineReporter
from builders.report.live import LiveReporter
from builders.report.summary import Row


class Step(Protocol):
    """Something that all cells need, while it goes on: the engine, a fetch, a fixture."""

    def note(self, text: str) -> None:
        """Say what it is doing."""

    def progress(self, done: int, total: int) -> None:
        """Say how many of how many bytes are done."""


class Reporter(Protocol):
    """Tells people what happens. Threads may share it; entering and leaving it frame the run."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was, and say what was stopped."""

    def step(self, name: str) -> AbstractContextManager[Step]:
        """Frame a step that is not one cell's; it failed if an exception leaves it."""

    def stage(self, cell: str, name: str) -> None:
        """Say that a cell is now at a stage: `build`, `audit`, `smoke`."""

    def note(self, cell: str, text: str) -> None:
        """Say what a cell's stage is doing."""

    def passed(self, cell: str, text: str) -> None:
        """Say that a cell is done, with a word on the result."""

    def refused(self, cell: str, reason: str) -> None:
        """Say that a cell cannot exist, which is expected."""

    def failed(self, cell: str, error: Exception) -> None:
        """Say that a cell failed: all of the error, at once."""

    def finish(self, rows: Sequence[Row], footer: str = "") -> None:
        """Show what became of every cell, and a last line; on GitHub, also in the job's summary."""


def reporter(
    cells: Sequence[str],
    *,
    stream: TextIO = sys.stdout,
    environment: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
) -> Reporter:
    """Return the reporter that fits where its output goes.

    On a terminal it redraws a line for each cell that runs. Elsewhere it prints a line for each
    thing that happens; on GitHub it also marks failures, and folds the cells' notes at the end.

    Args:
        cells: The ids of the cells that will run.
        stream: Where to write.
        environment: Says whether it is CI, and which colours are wanted (terminal.py).
        clock: Seconds, from any beginning.
    """
    console = terminal.console(stream, environment)
    if terminal.is_live(stream, environment):
        return LiveReporter(cells, console=console, clock=clock)
    return LineReporter(cells, console=console, environment=environment, clock=clock)
