from __future__ import annotations

import io
import os
import pty
from collections.abc import Iterator, Mapping
from typing import TextIO

import pytest

from builders.report import terminal


@pytest.fixture
def tty() -> Iterator[TextIO]:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        yield stream
    os.close(leader)


def colours(stream: TextIO, environment: Mapping[str, str]) -> bool:
    console = terminal.console(stream, environment)
    return console.color_system is not None and not console.no_color


def test_colours_on_a_terminal(tty: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert colours(tty, {})
    assert not colours(tty, {"NO_COLOR": "1"})
    assert colours(tty, {"NO_COLOR": ""})


def test_no_colours_elsewhere_unless_they_are_forced() -> None:
    assert not colours(io.StringIO(), {})
    assert colours(io.StringIO(), {"FORCE_COLOR": "1"})
    assert not colours(io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"})


def test_lines_are_redrawn_only_where_a_person_looks(tty: TextIO) -> None:
    assert terminal.is_live(tty, {"TERM": "xterm"})
    assert not terminal.is_live(tty, {"TERM": "dumb"})
    assert not terminal.is_live(tty, {"TERM": "xterm", "CI": "true"})
    assert not terminal.is_live(io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"})


def test_long_lines_stay_whole_in_a_pipe() -> None:
    stream = io.StringIO()
    terminal.console(stream, {}).print("x" * 300)
    assert stream.getvalue() == "x" * 300 + "\n"


def test_text_is_never_taken_for_markup() -> None:
    stream = io.StringIO()
    terminal.console(stream, {}).print("[red]x[/] :smile:")
    assert stream.getvalue() == "[red]x[/] :smile:\n"


def test_an_encoding_without_the_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console = terminal.console(stream, {})
    assert terminal.marks(console) is terminal.ASCII
    console.print("né")
    assert raw.getvalue() == b"n?\n"
    utf8 = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert terminal.marks(terminal.console(utf8, {})) is terminal.UNICODE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2K\x1b[1Aup", "up"),
        ("50%\r100%", "50%100%"),
        ("a\tb", "a   b"),
        ("a\nb", "a\nb"),
        ("bell\x07\x00\x9b31m", "bell31m"),
    ],
)
def test_a_programs_text_cannot_move_the_cursor(text: str, expected: str) -> None:
    assert terminal.clean(text) == expected


def test_figures_for_people() -> None:
    assert terminal.duration(12.345) == "12.3s"
    assert terminal.megabytes(62_149_999) == "62.1 MB"
    assert terminal.in_stage("build") == " in build"
    assert terminal.in_stage("") == ""
