"""The settings: everything that the environment decides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from embedding_service.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides, each by the environment variable named.

    Attributes:
        host: `EMBEDDING_SERVER_HOST`, the address to listen on. Default 127.0.0.1; the images
            set 0.0.0.0.
        port: `EMBEDDING_SERVER_PORT`, 1 to 65535. Default 8080.
        model_dir: `EMBEDDING_MODEL_DIR`, the directory of `model.json` and the files it names.
            Default /opt/equivec/model.
        max_image_bytes: `EMBEDDING_MAX_IMAGE_BYTES`, how long the file of an image may be, 1 to
            1000000000. Default 10000000.
        threads: `EMBEDDING_THREADS`, how many threads compute one embedding. Default: the
            processors that this process may use, by its affinity and its control group's quota.
    """

    host: str
    port: int
    model_dir: Path
    max_image_bytes: int
    threads: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings; a variable that is set but empty counts as not set.

        Raises:
            SettingsError: A value cannot be used; the message names the variable.
        """
        return cls(
            host=environment.get("EMBEDDING_SERVER_HOST") or "127.0.0.1",
            port=_number(environment, "EMBEDDING_SERVER_PORT", most=65535) or 8080,
            model_dir=Path(environment.get("EMBEDDING_MODEL_DIR") or "/opt/equivec/model"),
            max_image_bytes=_number(environment, "EMBEDDING_MAX_IMAGE_BYTES", most=10**9) or 10**7,
            threads=_number(environment, "EMBEDDING_THREADS", most=1024) or usable_processors(),
        )


def _number(environment: Mapping[str, str], name: str, *, most: int) -> int | None:
    """Return a whole number from 1 to `most`; None if the variable is not set."""
    value = environment.get(name)
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= most):
        raise SettingsError(f"{name} is {value!r}: it must be a whole number from 1 to {most}")
    return int(value)


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
