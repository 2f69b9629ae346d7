"""The disk: how much of it the cache of fetched models takes, and whether that becomes too much."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from embedding_service.supply.settings import SupplySettings

_BLOCK = 512
"""Bytes: the unit of st_blocks, whatever the file system's own."""


@dataclass(frozen=True, kw_only=True)
class CacheUse:
    """What the cache takes, and how full its file system is.

    Attributes:
        path: The cache.
        bytes: What it takes on the disk; a file that has several names counts once.
        total: The bytes of its file system.
        free: Of these, what is left to whom is not root.
        level: "ok", or which of the thresholds is reached.
    """

    path: Path
    bytes: int
    total: int
    free: int
    level: Literal["ok", "warning", "critical"]


def cache_use(settings: SupplySettings) -> CacheUse | None:
    """Measure the cache; None where there is none. It takes as long as a listing of it."""
    try:
        disk = shutil.disk_usage(settings.cache_dir)
    except OSError:
        return None
    # Without what only root may take, as `df` has it.
    percent = 100 * disk.used / ((disk.used + disk.free) or 1)
    return CacheUse(
        path=settings.cache_dir,
        bytes=_size(settings.cache_dir),
        total=disk.total,
        free=disk.free,
        level=_level(percent, settings),
    )


def _level(percent: float, settings: SupplySettings) -> Literal["ok", "warning", "critical"]:
    if percent >= settings.disk_critical:
        return "critical"
    return "warning" if percent >= settings.disk_warning else "ok"


def _size(directory: Path) -> int:
    counted: set[tuple[int, int]] = set()
    size = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                found = os.lstat(os.path.join(folder, name))  # noqa: PTH118 -- walks thousands
            except FileNotFoundError:  # another program has just deleted it
                continue
            if (found.st_dev, found.st_ino) not in counted:
                counted.add((found.st_dev, found.st_ino))
                size += found.st_blocks * _BLOCK
    return size
