"""Running other programs."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from builders import process
from builders.errors import ProcessError


def test_output_and_lines_are_returned() -> None:
    lines: list[str] = []
    code = "import sys; print('out'); print('one\\ntwo', file=sys.stderr)"

    completed = process.run([sys.executable, "-c", code], on_line=lines.append)

    assert completed.stdout == "out\n"
    assert completed.stderr == "one\ntwo\n"
    assert lines == ["one", "two"]


def test_standard_input_is_fed() -> None:
    code = "import sys; print(len(sys.stdin.read()))"

    assert process.run([sys.executable, "-c", code], stdin="x" * 100_000).stdout == "100000\n"


def test_a_failure_names_the_command_and_its_last_lines() -> None:
    code = "import sys; print('the reason', file=sys.stderr); sys.exit(7)"

    with pytest.raises(ProcessError, match=r"exit status 7 from: .*-c.*\n  \| the reason"):
        process.run([sys.executable, "-c", code])


def test_a_missing_program_says_what_to_do() -> None:
    with pytest.raises(ProcessError, match=r"cannot start no-such-program.*\n.*install"):
        process.run(["no-such-program"])


def test_a_program_that_hangs_is_ended_with_its_children() -> None:
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '600']);"
        "print(child.pid, file=sys.stderr, flush=True); time.sleep(600)"
    )
    lines: list[str] = []

    with pytest.raises(ProcessError, match="no end after 2 s"):
        process.run([sys.executable, "-c", code], timeout=2, on_line=lines.append)

    assert_gone(int(lines[0]))


def test_shutting_down_ends_what_another_thread_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_closed", threading.Event())
    lines: list[str] = []
    code = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"
    thread = threading.Thread(
        target=lambda: process.run([sys.executable, "-c", code], on_line=lines.append, check=False)
    )
    thread.start()
    while not lines:
        time.sleep(0.01)

    process.shut_down()
    thread.join(20)

    assert not thread.is_alive()
    assert_gone(int(lines[0]))
    with pytest.raises(ProcessError, match="interrupted"):
        process.run(["true"])


def test_a_background_program_ends_with_its_block() -> None:
    with process.background(["sleep", "600"]) as child:
        assert child.poll() is None
    assert child.poll() is not None


def assert_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123
            if stat.read().rpartition(")")[2].split()[0] == "Z":
                return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


def test_a_background_program_s_output_goes_into_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = [sys.executable, "-c", "import sys; print('one'); print('two', file=sys.stderr)"]
    with process.background(argv, output=log) as child:
        assert child.wait() == 0
    assert sorted(log.read_text().splitlines()) == ["one", "two"]


ECHO = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"


def test_a_conversation_answers_line_by_line() -> None:
    with process.conversation([sys.executable, "-c", ECHO]) as echo:
        assert [echo.ask(line, timeout=60) for line in ("abc", "de")] == ["cba", "ed"]
    assert echo.poll() is not None


def test_a_conversation_that_ends_or_says_nothing_is_an_error() -> None:
    for program in ("", "import time; time.sleep(600)"):
        with (
            process.conversation([sys.executable, "-c", program]) as silent,
            pytest.raises(ProcessError, match="no answer from"),
        ):
            silent.ask("abc", timeout=0.5)
