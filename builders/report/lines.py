"""Reporting to a pipe or a CI job's log: a line for each thing that happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.text import Text

from builders.report import github, summary, terminal
from builders.report.summary import Row

PATIENCE = 10.0
"""Seconds between two lines on the progress of one step."""


class LineReporter:
    """Prints `12.3s  <cell>  <what happens>`. See `report.Reporter`."""

    def __init__(
        self,
        cells: Sequence[str],
        *,
        console: Console,
        environment: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        self._console = console
        self._environment = environment
        self._clock = clock
        self._started = clock()
        self._width = max((len(cell) for cell in cells), default=0)
        self._guard = threading.Lock()
        self._unfinished: dict[str, str] = {}
        self._notes: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            unfinished = dict(self._unfinished)
        for subject, stage in unfinished.items():
            self._end(subject, f"stopped{terminal.in_stage(stage)}", "yellow")
        self._fold()

    @contextmanager
    def step(self, name: str) -> Iterator[LineStep]:
        """Print that a step begins, and how it ended."""
        with self._guard:
            self._unfinished[name] = ""
        self._say(name, "begins")
        try:
            yield LineStep(name, self._say, self._clock)
        except Exception:
            self._end(name, "FAILED", "bold red")
            raise
        self._end(name, "done", "green")

    def stage(self, cell: str, name: str) -> None:
        """Print that a cell is now at a stage."""
        with self._guard:
            self._unfinished[cell] = name
        self._say(cell, name)

    def note(self, cell: str, text: str) -> None:
        """Print what a stage is doing; on GitHub, keep it for the end."""
        if github.is_here(self._environment):
            # Parallel cells would mix their notes: they are folded at the end, each cell's apart.
            with self._guard:
                self._notes.setdefault(cell, []).extend(self._lines(cell, text))
        else:
            self._say(cell, text, "dim")

    def passed(self, cell: str, text: str) -> None:
        """Print that a cell is done."""
        self._end(cell, f"passed  {text}", "green")

    def refused(self, cell: str, reason: str) -> None:
        """Print that a cell cannot exist, as expected."""
        self._end(cell, f"refused, as expected: {reason}", "yellow")

    def failed(self, cell: str, error: Exception) -> None:
        """Print all of the error; on GitHub, mark it."""
        with self._guard:
            stage = terminal.in_stage(self._unfinished.get(cell, ""))
        self._end(cell, f"FAILED{stage}\n{error}", "red")
        if github.is_here(self._environment):
            with self._guard:
                self._console.print(github.error(cell, terminal.clean(str(error))), soft_wrap=True)

    def finish(self, rows: Sequence[Row], footer: str = "") -> None:
        """Print the table and a last line; on GitHub, add them to the job's summary page."""
        self._fold()
        elapsed = terminal.duration(self._clock() - self._started)
        with self._guard:
            self._console.print(summary.report(rows, self._console, elapsed))
            if footer:
                self._console.print(footer, soft_wrap=True)
        page = summary.markdown(rows, elapsed) + (f"\n{footer}\n" if footer else "")
        github.add_summary(self._environment, page)

    def _fold(self) -> None:
        with self._guard:
            for subject, lines in self._notes.items():
                self._console.print(github.group(subject, lines), soft_wrap=True)
            self._notes.clear()

    def _end(self, subject: str, text: str, style: str) -> None:
        with self._guard:
            self._unfinished.pop(subject, None)
        self._say(subject, text, style)

    def _say(self, subject: str, text: str, style: str = "") -> None:
        lines = "\n".join(self._lines(subject, text))
        with self._guard:
            self._console.print(Text(lines, style=style), soft_wrap=True)

    def _lines(self, subject: str, text: str) -> list[str]:
        """Return the lines for a text. None of them begins with `::`, a command on GitHub."""
        elapsed = terminal.duration(self._clock() - self._started)
        first, *more = terminal.clean(text).splitlines() or [""]
        begin = f"{elapsed:>8}  {subject:<{self._width}}  {first}"
        return [begin.rstrip(), *(f"{'|':>8}  {line}" for line in more)]


class LineStep:
    """See `report.Step`."""

    def __init__(
        self, name: str, say: Callable[[str, str], None], clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._say = say
        self._clock = clock
        self._next = clock() + PATIENCE

    def note(self, text: str) -> None:
        """Print it."""
        self._say(self._name, text)

    def progress(self, done: int, total: int) -> None:
        """Print it, if the last time was long enough ago."""
        if self._clock() >= self._next:
            self._next = self._clock() + PATIENCE
            self.note(f"{done / 1e6:.1f} of {terminal.megabytes(total)}")
