"""Mounts of this machine, by the kernel's own list."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable
from pathlib import Path

_DETACH = 2
"""MNT_DETACH of umount2(2): the mount goes at once, and its last user later."""


def mounted_below(directories: Iterable[Path]) -> tuple[Path, ...]:
    """Return the mount points at or below directories, the deepest first."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return mount_points(text, directories)


def mount_points(mountinfo: str, directories: Iterable[Path]) -> tuple[Path, ...]:
    """Return those mount points of a mountinfo file (proc_pid_mountinfo(5)), the deepest first."""
    points = [Path(_unescaped(line.split(" ")[4])) for line in mountinfo.splitlines()]
    below = [point for point in points if any(point.is_relative_to(own) for own in directories)]
    return tuple(sorted(below, key=lambda point: len(point.parts), reverse=True))


def unmount(point: Path) -> None:
    """Unmount what is mounted at a point; nothing happens where nothing is.

    It is a system call and no program, so that an interrupted run can still clean up.

    Raises:
        OSError: It is not allowed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.umount2(os.fsencode(point), _DETACH) == 0 or not point.is_mount():
        return
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), str(point))


def _unescaped(field: str) -> str:
    """Undo the octal escapes of a mountinfo file."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
