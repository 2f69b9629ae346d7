"""Where people read: a terminal, a pipe, or the log of a CI job."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console

UNWRAPPED = 1000
"""Columns of what is no terminal: long lines stay whole, for `grep`."""

CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Escape sequences, and control characters other than tabs and line ends."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What stands before a line, and moves."""

    chosen: str
    passed: str
    failed: str
    left_out: str
    stopped: str
    spinner: str
    """The frames, one character each."""
    bar: tuple[str, str]
    """The filled and the empty part, one character each."""


UNICODE = Marks(
    chosen="●",
    passed="✓",
    failed="✗",
    left_out="○",
    stopped="■",
    spinner="⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏",
    bar=("━", "─"),
)
ASCII = Marks(
    chosen="*",
    passed="+",
    failed="x",
    left_out="o",
    stopped="-",
    spinner="-\\|/",
    bar=("=", "-"),
)


def console(stream: TextIO, environment: Mapping[str, str]) -> Console:
    """Return a console that writes to a stream.

    Colours: on a terminal, or with FORCE_COLOR; never with NO_COLOR (https://no-color.org).
    Characters that the stream's encoding lacks become question marks rather than errors.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    plain = bool(environment.get("NO_COLOR"))
    return Console(
        file=stream,
        width=None if stream.isatty() or "COLUMNS" in environment else UNWRAPPED,
        force_terminal=stream.isatty() or (bool(environment.get("FORCE_COLOR")) and not plain),
        no_color=plain,
        highlight=False,
        markup=False,
        emoji=False,
    )


def is_live(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether lines can be redrawn: on a terminal that a person looks at."""
    dumb = environment.get("TERM") in ("dumb", "unknown")
    return stream.isatty() and not dumb and not environment.get("CI")


def marks(console: Console) -> Marks:
    """Return the marks that the console's encoding has."""
    return UNICODE if console.encoding.startswith("utf") else ASCII


def clean(text: str) -> str:
    """Return a program's text without what would move the cursor or change colours."""
    return CONTROL.sub("", text).expandtabs(4)


def in_stage(stage: str) -> str:
    """Return ` in build`, or nothing where there is no stage."""
    return f" in {stage}" if stage else ""


def duration(seconds: float) -> str:
    """Return a time for people: `12.3s`."""
    return f"{seconds:.1f}s"


def megabytes(count: float) -> str:
    """Return a number of bytes for people, in 10^6 bytes: `12.3 MB`."""
    return f"{count / 1e6:.1f} MB"
