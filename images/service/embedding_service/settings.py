"""The settings: everything that the environment decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedding_service.errors import SettingsError

CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides, each by the environment variable named.

    Attributes:
        host: `EMBEDDING_SERVER_HOST`, the address to listen on. Default 127.0.0.1; the images
            set 0.0.0.0.
        port: `EMBEDDING_SERVER_PORT`, 1 to 65535. Default 8080.
        model_dir: `EMBEDDING_MODEL_DIR`, the directory of `model.json` and the files it names.
            Default /opt/equivec/model.
        threads: `EMBEDDING_THREADS`, how many threads compute one embedding. Default: the
            processors that this process may use, by its affinity and its control group's quota.
    """

    host: str
    port: int
    model_dir: Path
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


def usable_processors(control_groups: Path = CONTROL_GROUPS) -> int:
    """Return how many processors this process may keep busy, at least 1.

    A container's limit (`docker run --cpus`) is a quota of its control group, which
    `os.cpu_count` does not know: threads beyond it only wait for each other.
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    quota = _quota(control_groups)
    return processors if quota is None else max(1, min(processors, int(quota)))


def _quota(control_groups: Path) -> float | None:
    """Return the control group's quota in processors; None where there is none.

    Version 2 has `cpu.max` ("150000 100000" or "max 100000"), version 1 two files, where -1 says
    that there is no quota. A container sees its own group at the root of the mount.
    """
    version_1 = control_groups / "cpu"
    words = [
        *_words(control_groups / "cpu.max"),
        *_words(version_1 / "cpu.cfs_quota_us"),
        *_words(version_1 / "cpu.cfs_period_us"),
    ]
    match words:
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0:
            return int(quota) / int(period)
        case _:
            return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
