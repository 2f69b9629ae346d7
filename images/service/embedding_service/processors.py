"""The processors: how many of them this process may keep busy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_processors(root: Path = Path("/")) -> int:
    """Return how many processors this process may keep busy, at least 1.

    A container's limit (`docker run --cpus`) is a quota of its control group, which
    `os.cpu_count` does not know: threads beyond it only wait for each other. Of a quota of 1.5
    processors, 1 can be kept busy all the time.

    Args:
        root: Where proc and sys/fs/cgroup are.
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    return max(1, int(min([processors, *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield, in processors, each quota of the control groups that this process is in.

    Version 2 has `cpu.max` ("150000 100000" or "max 100000"), version 1 two files, where -1 says
    that there is no quota (https://docs.kernel.org/admin-guide/cgroup-v2.html).
    """
    control_groups = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            hierarchy, files = control_groups, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            hierarchy, files = control_groups / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        for directory in _path_of(group, hierarchy):
            match [word for file in files for word in _text(directory / file).split()]:
                case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0:
                    yield int(quota) / int(period)


def _path_of(group: str, hierarchy: Path) -> Iterator[Path]:
    """Yield the directories of a group and of those it is in: each one's quota holds.

    A container usually sees its own group as the hierarchy's root, and no directory of the name
    that the group has outside.
    """
    path = PurePosixPath(group)
    for part in (path, *path.parents):
        yield hierarchy / part.relative_to("/")


def _text(path: Path) -> str:
    try:
        # A group's name may hold any byte.
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
