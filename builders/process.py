"""The seam to other programs: every process that Equivec starts, starts here."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import watchdog
from builders.errors import ProcessError

LAST_LINES = 30
"""How many lines of a failed program's output its error shows."""

_running: set[subprocess.Popen[str]] = set()
_running_guard = threading.Lock()
_closed = threading.Event()


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What a finished program left: its status and its output, decoded as UTF-8."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end in a process group of its own.

    Args:
        argv: The program and its arguments; never a shell line.
        cwd: Its working directory.
        env: Its whole environment; the current one if None.
        stdin: What it reads from standard input; nothing if None.
        timeout: Seconds after which the whole process group is ended.
        on_line: Called with each line of standard error as it comes (for progress).
        check: Raise when the exit status is not 0.

    Raises:
        ProcessError: It is not installed, ran out of time, or failed (with `check`); the message
            holds its last lines.
    """
    words = tuple(str(word) for word in argv)
    process = _start(
        words,
        cwd=cwd,
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        completed = _communicate(process, words, stdin=stdin, timeout=timeout, on_line=on_line)
    finally:
        _finish(process)
    if check and completed.returncode != 0:
        raise failure(completed)
    return completed


class Background:
    """A program that runs beside ours."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process's id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit status; None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait for its end and return its exit status."""
        return self._process.wait()


class Conversation(Background):
    """A program that answers each line of its standard input with one of its output."""

    def ask(self, line: str, *, timeout: float) -> str:
        """Send a line and return the answer.

        Args:
            line: Without its end.
            timeout: Seconds after which the program is ended.

        Raises:
            ProcessError: It ended without an answer; its own messages are above.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 (it was asked for below)
        assert stdout is not None  # noqa: S101 (likewise)
        impatience = threading.Timer(timeout, _end, [self._process])
        impatience.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(f"{line}\n")
                stdin.flush()
            answer = stdout.readline()
        finally:
            impatience.cancel()
        if not answer.endswith("\n"):
            raise ProcessError(f"no answer from: {self._process.args!r}")
        return answer.removesuffix("\n")


@contextlib.contextmanager
def background(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    output: Path | None = None,
) -> Iterator[Background]:
    """Run a program until the block is left, however it is left.

    Args:
        argv: The program and its arguments; never a shell line.
        env: Its whole environment; the current one if None.
        output: A file for its standard output and error; ours if None.

    Raises:
        ProcessError: It cannot be started.
    """
    words = tuple(str(word) for word in argv)
    with contextlib.ExitStack() as stack:
        file = None if output is None else stack.enter_context(output.open("ab"))
        process = _start(
            words,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            text=True,
        )
        try:
            yield Background(process)
        finally:
            _finish(process)


@contextlib.contextmanager
def conversation(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None
) -> Iterator[Conversation]:
    """Run a program that is asked line by line until the block is left.

    Raises:
        ProcessError: It cannot be started.
    """
    words = tuple(str(word) for word in argv)
    process = _start(
        words,
        env=None if env is None else dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield Conversation(process)
    finally:
        _finish(process)


def failure(completed: Completed) -> ProcessError:
    """Return the error that a program's failure is: its command and its last lines."""
    output = (completed.stderr or completed.stdout).strip().splitlines()
    tail = "\n".join(f"  | {line}" for line in output[-LAST_LINES:])
    return ProcessError(
        f"exit status {completed.returncode} from: {shlex.join(completed.argv)}\n{tail}"
    )


def shut_down() -> None:
    """End every program that still runs, and start no other: what Ctrl-C leads to."""
    with _running_guard:
        _closed.set()
        processes = tuple(_running)
    for process in processes:
        _end(process)


def refuse_when_shut_down() -> None:
    """Let nothing new begin after Ctrl-C.

    Raises:
        ProcessError: The run was interrupted.
    """
    if _closed.is_set():
        raise ProcessError("not begun, since the run was interrupted")


def _start(words: tuple[str, ...], **options: Any) -> subprocess.Popen[str]:
    """Start a program in a process group of its own, so that all of it can be ended."""
    with _running_guard:
        if _closed.is_set():
            raise ProcessError(f"not started, since the run was interrupted: {words[0]}")
        try:
            process: subprocess.Popen[str] = subprocess.Popen(
                words, start_new_session=True, **options
            )
        except OSError as error:
            raise ProcessError(
                f"cannot start {words[0]}: {error.strerror}", remedy="install it, or put it on PATH"
            ) from error
        _running.add(process)
        _tell_watchdog(f"+{process.pid}")
    return process


def _finish(process: subprocess.Popen[str]) -> None:
    """End a program if need be, close its pipes, and forget it."""
    _end(process)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    with _running_guard:
        _running.discard(process)
        _tell_watchdog(f"-{process.pid}")


def _communicate(
    process: subprocess.Popen[str],
    words: tuple[str, ...],
    *,
    stdin: str | None,
    timeout: float | None,
    on_line: Callable[[str], None] | None,
) -> Completed:
    """Feed and drain the pipes until the program ends."""
    errors: list[str] = []

    def drain() -> None:
        assert process.stderr is not None  # noqa: S101 (it was asked for above)
        for line in process.stderr:
            errors.append(line)
            if on_line is not None:
                on_line(line.rstrip("\n"))

    output: deque[str] = deque()

    def collect() -> None:
        assert process.stdout is not None  # noqa: S101 (it was asked for above)
        output.append(process.stdout.read())

    readers = [threading.Thread(target=drain), threading.Thread(target=collect)]
    for reader in readers:
        reader.start()
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stdin or "")
            process.stdin.close()
    try:
        returncode = process.wait(timeout)
    except subprocess.TimeoutExpired as error:
        raise ProcessError(
            f"no end after {timeout:.0f} s: {shlex.join(words)}",
            remedy="look whether the machine is overloaded, then try again",
        ) from error
    finally:
        _end(process)
        for reader in readers:
            reader.join()
    return Completed(
        argv=words, returncode=returncode, stdout="".join(output), stderr="".join(errors)
    )


def _end(process: subprocess.Popen[str]) -> None:
    """End the process group, kindly first."""
    if process.poll() is not None:
        return
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def _tell_watchdog(line: str) -> None:
    """Say which process group has started or ended."""
    # The watchdog may have been killed too: programs then run on, as they would without it.
    with contextlib.suppress(BrokenPipeError):
        os.write(_watchdog(), f"{line}\n".encode())


@functools.cache
def _watchdog() -> int:
    """Start the watchdog; return the descriptor of its input, which programs do not inherit."""
    process = subprocess.Popen(watchdog.ARGV, stdin=subprocess.PIPE, start_new_session=True)
    # Not to be left a zombie, nor to kill: by then every program has ended.
    atexit.register(process.communicate)
    assert process.stdin is not None  # noqa: S101 (it was asked for above)
    return process.stdin.fileno()
