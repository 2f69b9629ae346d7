"""What a killed engine leaves behind: processes of its containers, mounts, sockets."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from builders.engine import mounts
from builders.engine.configuration import Daemon, Places

PROC = Path("/proc")
SHIM_SOCKETS = Path("/run/containerd/s")
"""Where every containerd of a machine puts the sockets of its shims; it cannot be configured."""

FOREIGN = (
    SHIM_SOCKETS,
    SHIM_SOCKETS.parent,
    Path("/run/docker/plugins"),
    Path("/run/docker"),
    Path("/run/runc"),
)
"""Directories that the daemons make although they are told to use others, the deepest first."""

_FOREIGN_RECORD = "made-directories"

_DEATH_SECONDS = 5.0
_GRACE_SECONDS = 15.0


def clear(places: Places) -> None:
    """End what still runs of an engine whose daemons are down, and unmount what it mounted."""
    end(processes(places))
    for point in mounts.mounted_below((places.root, places.run)):
        mounts.unmount(point)
    for socket in _shim_sockets(places):
        socket.unlink(missing_ok=True)
    # dockerd refuses to start while a process has the number in its pid file, whichever it is.
    for record in places.run.glob("*.pid"):
        record.unlink()


def processes(places: Places) -> tuple[int, ...]:
    """Return the engine's daemons and shims, and the processes inside its containers."""
    return tuple(
        int(directory.name)
        for directory in PROC.iterdir()
        if directory.name.isdecimal() and belongs(directory, places)
    )


def belongs(process: Path, places: Places) -> bool:
    """Say whether a process is the engine's, from its directory in /proc.

    A daemon or shim is one of the unpacked programs, and names the engine's files in its arguments;
    a process in a container has a root file system made of the engine's snapshots.
    """
    try:
        program = (process / "exe").readlink()
        words = (process / "cmdline").read_text(errors="replace").split("\0")
        mountinfo = (process / "mountinfo").read_text(errors="replace")
    except OSError:
        return False  # It has ended, or is a thread of the kernel.
    if program.is_relative_to(places.packages):
        own = (f"{places.run}/", f"{places.root}/")
        # Engines of several caches may share their programs: these name no engine.
        return any(
            word.startswith(own) and not word.startswith(f"{places.packages}/") for word in words
        )
    return rooted_in(mountinfo, places.root)


def rooted_in(mountinfo: str, directory: Path) -> bool:
    """Say whether the root file system is an overlay of directories below this one."""
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if fields[4:5] == ["/"] and re.search(f"dir={re.escape(str(directory))}/", fields[-1]):
            return True
    return False


def terminate(places: Places, daemon: Daemon) -> None:
    """Ask a daemon to end, and give it time; a stale pid file harms nobody."""
    try:
        pid = int(places.pid(daemon).read_text())
    except (FileNotFoundError, ValueError):
        return
    if belongs(PROC / str(pid), places):
        _signal({pid}, signal.SIGTERM, _GRACE_SECONDS)


def end(pids: Iterable[int]) -> None:
    """Kill processes and wait until they are gone."""
    _signal(set(pids), signal.SIGKILL, _DEATH_SECONDS)


def _signal(pids: set[int], number: signal.Signals, patience: float) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + patience
    while any(lives(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Say whether a process runs: one that has ended and is not yet collected does not."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def note_foreign(places: Places) -> None:
    """Write down which directories outside of our places do not exist before the engine starts."""
    record = places.run / _FOREIGN_RECORD
    if not record.exists():
        record.write_text("".join(f"{path}\n" for path in FOREIGN if not path.exists()))


def remove_foreign(places: Places) -> None:
    """Remove the directories that were written down, as far as nobody uses them."""
    record = places.run / _FOREIGN_RECORD
    if record.exists():
        for line in record.read_text().splitlines():
            with contextlib.suppress(OSError):  # Another engine uses it, or it was never made.
                Path(line).rmdir()


def _shim_sockets(places: Places) -> Iterator[Path]:
    for record in places.run.glob("containerd/io.containerd.runtime.v2.task/*/*/address"):
        path = Path(record.read_text(encoding="utf-8").removeprefix("unix://"))
        if path.parent == SHIM_SOCKETS:
            yield path
