from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from builders.errors import BuildError
from builders.report import Reporter, reporter
from builders.report.lines import LineReporter
from builders.report.summary import Row

CELLS = ("a-linux-amd64", "bb-linux-amd64")


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
def stream() -> io.StringIO:
    return io.StringIO()


def lines(stream: io.StringIO, clock: Clock, environment: Mapping[str, str]) -> Reporter:
    found = reporter(CELLS, stream=stream, environment=environment, clock=clock)
    assert isinstance(found, LineReporter)
    return found


def test_a_line_for_each_thing_that_happens(stream: io.StringIO, clock: Clock) -> None:
    with lines(stream, clock, {}) as report:
        with report.step("engine") as step:
            step.note("starts dockerd")
            clock.now += 2.25
        report.stage(CELLS[0], "build")
        clock.now += 10
        report.note(CELLS[0], "#7 \x1b[31mRUN\x1b[0m [x]")
        report.stage(CELLS[1], "build")
        report.passed(CELLS[0], "9f86d081884c")
        report.passed(CELLS[1], "")
        report.refused(CELLS[0], "no wheel")
    assert stream.getvalue().splitlines() == [
        "    0.0s  engine          begins",
        "    0.0s  engine          starts dockerd",
        "    2.2s  engine          done",
        "    2.2s  a-linux-amd64   build",
        "   12.2s  a-linux-amd64   #7 RUN [x]",
        "   12.2s  bb-linux-amd64  build",
        "   12.2s  a-linux-amd64   passed  9f86d081884c",
        "   12.2s  bb-linux-amd64  passed",
        "   12.2s  a-linux-amd64   refused, as expected: no wheel",
    ]


def test_the_last_line_is_in_the_log_and_in_the_jobs_summary(
    stream: io.StringIO, clock: Clock, tmp_path: Path
) -> None:
    page = tmp_path / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    with lines(stream, clock, environment) as report:
        report.finish([Row(cell=CELLS[0], result="passed")], "disk: 1 GB")
    assert stream.getvalue().splitlines()[-1] == "disk: 1 GB"
    assert "disk: 1 GB" in page.read_text().splitlines()


def test_progress_is_told_now_and_then(stream: io.StringIO, clock: Clock) -> None:
    with lines(stream, clock, {}) as report, report.step("fetch") as step:
        for second in range(25):
            step.progress(second * 1_000_000, 25_000_000)
            clock.now += 1
    assert [line[20:].strip() for line in stream.getvalue().splitlines()] == [
        "begins",
        "10.0 of 25.0 MB",
        "20.0 of 25.0 MB",
        "done",
    ]


def test_all_of_an_error_is_told_at_once(stream: io.StringIO, clock: Clock) -> None:
    error = BuildError("exit status 1\n  | #12 ERROR", where="x", remedy="correct the Dockerfile")
    with lines(stream, clock, {}) as report:
        report.stage(CELLS[0], "build")
        report.failed(CELLS[0], error)
    assert stream.getvalue().splitlines()[1:] == [
        "    0.0s  a-linux-amd64   FAILED in build",
        "       |  x: exit status 1",
        "       |    | #12 ERROR",
        "       |    -> correct the Dockerfile",
    ]


def test_a_step_that_fails_is_told(stream: io.StringIO, clock: Clock) -> None:
    with (
        pytest.raises(BuildError),
        lines(stream, clock, {}) as report,
        report.step("engine"),
    ):
        raise BuildError("no")
    assert stream.getvalue().splitlines()[-1] == "    0.0s  engine          FAILED"


def test_what_is_interrupted_is_told(stream: io.StringIO, clock: Clock) -> None:
    report = lines(stream, clock, {})

    def interrupt() -> None:
        with report, report.step("fetch"):
            report.stage(CELLS[0], "smoke")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert stream.getvalue().splitlines()[-2:] == [
        "    0.0s  fetch           stopped",
        "    0.0s  a-linux-amd64   stopped in smoke",
    ]


def test_the_end_is_a_table(stream: io.StringIO, clock: Clock) -> None:
    with lines(stream, clock, {}) as report:
        clock.now += 3
        report.finish([Row(cell=CELLS[0], result="passed", emulated=True)])
    text = stream.getvalue()
    assert "✓ a-linux-amd64" in text
    assert "emulated" in text
    assert text.endswith("\n1 passed in 3.0s\n")


def test_colours_when_they_are_forced(stream: io.StringIO, clock: Clock) -> None:
    with lines(stream, clock, {"CI": "true", "FORCE_COLOR": "1"}) as report:
        report.passed(CELLS[0], "x")
    assert stream.getvalue() == "\x1b[32m    0.0s  a-linux-amd64   passed  x\x1b[0m\n"


def test_on_github_notes_are_folded_at_the_end(stream: io.StringIO, clock: Clock) -> None:
    with lines(stream, clock, {"GITHUB_ACTIONS": "true", "CI": "true"}) as report:
        for cell in CELLS:
            report.stage(cell, "build")
        for number in (1, 2):
            for cell in CELLS:
                report.note(cell, f"note {number}\n::error::of the build's own")
        for cell in CELLS:
            report.passed(cell, "x")
    assert stream.getvalue().splitlines() == [
        "    0.0s  a-linux-amd64   build",
        "    0.0s  bb-linux-amd64  build",
        "    0.0s  a-linux-amd64   passed  x",
        "    0.0s  bb-linux-amd64  passed  x",
        "::group::a-linux-amd64",
        "    0.0s  a-linux-amd64   note 1",
        "       |  ::error::of the build's own",
        "    0.0s  a-linux-amd64   note 2",
        "       |  ::error::of the build's own",
        "::endgroup::",
        "::group::bb-linux-amd64",
        "    0.0s  bb-linux-amd64  note 1",
        "       |  ::error::of the build's own",
        "    0.0s  bb-linux-amd64  note 2",
        "       |  ::error::of the build's own",
        "::endgroup::",
    ]


def test_on_github_a_failure_is_marked(stream: io.StringIO, clock: Clock, tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    with lines(stream, clock, environment) as report:
        report.note(CELLS[0], "note")
        report.failed(CELLS[0], BuildError("first\nsecond"))
        report.finish([Row(cell=CELLS[0], result="failed", reason="first")])
    assert "::error title=a-linux-amd64::first%0Asecond" in stream.getvalue().splitlines()
    assert stream.getvalue().count("::group::") == 1
    assert stream.getvalue().endswith("\n1 failed in 0.0s\n"), "the table is the last to be seen"
    assert "| failed: first |" in page.read_text()


def test_threads_do_not_mix_their_lines(stream: io.StringIO, clock: Clock) -> None:
    with lines(stream, clock, {}) as report:

        def work(cell: str) -> None:
            for _ in range(200):
                report.note(cell, f"{cell}\n{cell}")

        threads = [threading.Thread(target=work, args=(cell,)) for cell in CELLS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = stream.getvalue().splitlines()
    assert len(found) == 800
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert first.split()[-1] == second.split()[-1]
        assert second.startswith("       |  ")
