from __future__ import annotations

import io
import os
import pty
import re
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from builders.errors import BuildError
from builders.report import Reporter, reporter
from builders.report.live import LiveReporter
from builders.report.summary import Row

CELLS = ("a-linux-amd64", "bb-linux-amd64", "c-linux-amd64")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def console() -> Console:
    return Console(
        file=io.StringIO(), width=80, force_terminal=True, color_system=None, highlight=False
    )


@pytest.fixture
def live(console: Console, clock: Clock) -> LiveReporter:
    return LiveReporter(CELLS, console=console, clock=clock)


def frame(live: LiveReporter) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=80).print(live._frame())
    return stream.getvalue().splitlines()


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_a_frame_shows_what_goes_on(live: LiveReporter, clock: Clock) -> None:
    live.stage(CELLS[0], "build")
    clock.now += 12.5
    live.note(CELLS[0], "#7 \x1b[31mRUN\x1b[0m compileall\n [x]")
    live.stage(CELLS[1], "smoke")
    clock.now += 0.5
    with live.step("fetch") as step:
        step.progress(30_000_000, 100_000_000)
        step.note("numpy")
        assert frame(live) == [
            "⠋ a-linux-amd64     13.0s  build  #7 RUN compileall  [x]",
            "⠋ bb-linux-amd64     0.5s  smoke",
            "⠋ fetch              0.0s  ━━━─────── 30.0 of 100.0 MB  numpy",
            "  1 waiting",
        ]


def test_a_new_stage_drops_the_last_ones_note(live: LiveReporter) -> None:
    live.stage(CELLS[0], "build")
    live.note(CELLS[0], "compileall")
    live.stage(CELLS[0], "audit")
    assert frame(live)[0] == "⠋ a-linux-amd64      0.0s  audit"


def test_a_line_is_cut_to_the_width(live: LiveReporter) -> None:
    live.stage(CELLS[0], "build")
    live.note(CELLS[0], "漢" * 100)
    line, waiting = frame(live)
    assert line.endswith("…")
    assert len(line) < 80
    assert waiting == "  2 waiting"


def test_the_spinner_turns(live: LiveReporter, clock: Clock) -> None:
    live.stage(CELLS[0], "build")
    frames = set()
    for _ in range(10):
        clock.now += 0.1
        frames.add(frame(live)[0][0])
    assert len(frames) > 5


def test_what_is_done_is_printed_and_no_longer_drawn(
    live: LiveReporter, console: Console, clock: Clock
) -> None:
    with live:
        with live.step("engine"):
            clock.now += 1
        live.stage(CELLS[0], "build")
        clock.now += 2
        live.passed(CELLS[0], "9f86d081884c")
        live.stage(CELLS[1], "audit")
        live.failed(CELLS[1], BuildError("first\n  | second", remedy="correct it"))
        live.failed(CELLS[2], BuildError("at once"))
        live.note(CELLS[0], "again")
        live.refused(CELLS[0], "no wheel")
        assert "".join(frame(live)) == ""
    text = written(console)
    assert "✓ engine             1.0s" in text
    assert "✓ a-linux-amd64      2.0s  9f86d081884c" in text
    assert "○ a-linux-amd64      0.0s  refused, as expected: no wheel\n" in text
    assert "✗ bb-linux-amd64     0.0s  failed in audit\n    first\n      | second\n" in text
    assert "      -> correct it\n" in text
    assert "✗ c-linux-amd64      0.0s  failed\n    at once\n" in text


def test_what_is_interrupted_is_told_and_the_cursor_comes_back(
    live: LiveReporter, console: Console
) -> None:
    def interrupt() -> None:
        with live, live.step("fetch"):
            live.stage(CELLS[0], "smoke")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    text = written(console)
    assert "■ fetch              0.0s  stopped\n" in text
    assert "■ a-linux-amd64      0.0s  stopped in smoke\n" in text
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().rindex("\x1b[?25h") > console.file.getvalue().rindex("\x1b[?25l")


def test_a_step_that_fails_is_told(live: LiveReporter, console: Console) -> None:
    with pytest.raises(BuildError), live, live.step("engine"):
        raise BuildError("no")
    assert "✗ engine             0.0s  failed\n" in written(console)


def test_the_end_is_printed(live: LiveReporter, console: Console, clock: Clock) -> None:
    with live:
        clock.now += 3
        live.finish([Row(cell=CELLS[0], result="passed")])
    assert "1 passed in 3.0s" in written(console)


def test_threads_share_it(live: LiveReporter) -> None:
    failures: list[BaseException] = []

    def work(cell: str) -> None:
        try:
            for number in range(200):
                live.stage(cell, f"stage {number}")
                live.note(cell, "note")
                live.passed(cell, "x")
        except BaseException as error:
            failures.append(error)
            raise

    with live:
        threads = [threading.Thread(target=work, args=(cell,)) for cell in CELLS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []


def on_a_terminal(environment: dict[str, str], use: Callable[[Reporter], None]) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        use(reporter(CELLS, stream=stream, environment=environment))
    os.close(leader)


def test_a_terminal_gets_it_and_ci_does_not() -> None:
    found: list[Reporter] = []
    on_a_terminal({"TERM": "xterm"}, found.append)
    on_a_terminal({"TERM": "xterm", "CI": "true"}, found.append)
    assert isinstance(found[0], LiveReporter)
    assert not isinstance(found[1], LiveReporter)
