"""Reporting to a terminal: a line for each thing that goes on, redrawn; what is done scrolls up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from builders.report import summary, terminal
from builders.report.summary import Row

FRAMES_PER_SECOND = 10
BAR = 10
"""Characters of a progress bar."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A cell's stage or a shared step, while it goes on."""

    began: float
    """When the cell or step began, by the reporter's clock."""
    stage: str = ""
    note: str = ""
    done: int = 0
    total: int = 0
    """Bytes; 0 where there is nothing to count."""


class LiveReporter:
    """Redraws what goes on. See `report.Reporter`."""

    def __init__(
        self, cells: Sequence[str], *, console: Console, clock: Callable[[], float]
    ) -> None:
        self._console = console
        self._clock = clock
        self._started = clock()
        self._marks = terminal.marks(console)
        self._width = max((len(cell) for cell in cells), default=0)
        self._guard = threading.Lock()
        self._waiting = set(cells)
        self._activities: dict[str, Activity] = {}
        self._live = Live(
            console=console,
            get_renderable=self._frame,
            refresh_per_second=FRAMES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            unfinished = dict(self._activities)
        self._live.stop()
        for subject, activity in unfinished.items():
            text = f"stopped{terminal.in_stage(activity.stage)}"
            self._end(subject, self._marks.stopped, text, "yellow")

    @contextmanager
    def step(self, name: str) -> Iterator[LiveStep]:
        """Draw a step while it goes on, and print how it ended."""
        self._update(name, lambda activity: activity)
        try:
            yield LiveStep(name, self._update)
        except Exception:
            self._end(name, self._marks.failed, "failed", "bold red")
            raise
        self._end(name, self._marks.passed, "", "green")

    def stage(self, cell: str, name: str) -> None:
        """Draw the stage that a cell is at."""
        self._update(cell, lambda activity: replace(activity, stage=name, note=""))

    def note(self, cell: str, text: str) -> None:
        """Draw what a stage is doing."""
        self._update(cell, lambda activity: replace(activity, note=text))

    def passed(self, cell: str, text: str) -> None:
        """Print that a cell is done, above what goes on."""
        self._end(cell, self._marks.passed, text, "green")

    def refused(self, cell: str, reason: str) -> None:
        """Print that a cell cannot exist, as expected, above what goes on."""
        self._end(cell, self._marks.left_out, f"refused, as expected: {reason}", "yellow")

    def failed(self, cell: str, error: Exception) -> None:
        """Print all of the error, above what goes on."""
        with self._guard:
            activity = self._activities.get(cell)
        stage = terminal.in_stage(activity.stage if activity else "")
        self._end(cell, self._marks.failed, f"failed{stage}\n{error}", "bold red")

    def finish(self, rows: Sequence[Row], footer: str = "") -> None:
        """Print the table, and a last line."""
        elapsed = terminal.duration(self._clock() - self._started)
        self._console.print(summary.report(rows, self._console, elapsed))
        if footer:
            self._console.print(footer)

    def _update(self, subject: str, change: Callable[[Activity], Activity]) -> None:
        with self._guard:
            self._waiting.discard(subject)
            activity = self._activities.get(subject, Activity(began=self._clock()))
            self._activities[subject] = change(activity)

    def _end(self, subject: str, mark: str, text: str, style: str) -> None:
        with self._guard:
            self._waiting.discard(subject)
            activity = self._activities.pop(subject, Activity(began=self._clock()))
        elapsed = terminal.duration(self._clock() - activity.began)
        lines = terminal.clean(text).split("\n")
        line = Text.assemble(
            (f"{mark} ", style), f"{subject:<{self._width}}  ", (f"{elapsed:>7}  ", "dim"), lines[0]
        )
        # Printed without holding the guard: printing draws a frame, which takes it.
        self._console.print(line.append("".join(f"\n    {more}" for more in lines[1:])))

    def _frame(self) -> RenderableType:
        with self._guard:
            activities = dict(self._activities)
            waiting = len(self._waiting)
        lines = [self._line(subject, activity) for subject, activity in activities.items()]
        if waiting:
            lines.append(Text(f"  {waiting} waiting", style="dim"))
        return Group(*lines)

    def _line(self, subject: str, activity: Activity) -> Text:
        frames = self._marks.spinner
        now = self._clock()
        elapsed = terminal.duration(now - activity.began)
        line = Text.assemble(
            (f"{frames[int(now * FRAMES_PER_SECOND) % len(frames)]} ", "cyan"),
            f"{subject:<{self._width}}  ",
            (f"{elapsed:>7}  ", "dim"),
            (f"{activity.stage}  " if activity.stage else "", "bold"),
        )
        if activity.total:
            line.append_text(self._progress(activity))
        line.append(terminal.clean(activity.note).replace("\n", " "), style="dim")
        line.rstrip()
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    def _progress(self, activity: Activity) -> Text:
        filled, empty = self._marks.bar
        full = BAR * min(activity.done, activity.total) // activity.total
        return Text.assemble(
            (filled * full, "cyan"),
            (empty * (BAR - full), "dim"),
            f" {activity.done / 1e6:.1f} of {terminal.megabytes(activity.total)}  ",
        )


class LiveStep:
    """See `report.Step`."""

    def __init__(
        self, name: str, update: Callable[[str, Callable[[Activity], Activity]], None]
    ) -> None:
        self._name = name
        self._update = update

    def note(self, text: str) -> None:
        """Draw it beside the step."""
        self._update(self._name, lambda activity: replace(activity, note=text))

    def progress(self, done: int, total: int) -> None:
        """Draw a bar beside the step."""
        self._update(self._name, lambda activity: replace(activity, done=done, total=total))
