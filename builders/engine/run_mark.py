"""Marks of living runs, so that what a killed one left behind can be told from what is in use.

A run holds a lock on a file of its own in the cache. The system releases the lock when the process
ends, in whatever way; a file that is there and can be locked is an ended run's.
"""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RunMark:
    """One run of the orchestrator."""

    id: str


@contextmanager
def mark(cache: Path) -> Iterator[RunMark]:
    """Mark this run as living until the end of the block.

    The mark stays then, as an ended run's: the next run looks whether it left a container.
    """
    run = uuid.uuid4().hex
    directory = _directory(cache)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f".{run}").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Seen by others only now that it is locked; the lock is on the file, not on its name.
        Path(file.name).rename(directory / run)
        yield RunMark(id=run)


def ended_runs(cache: Path) -> tuple[str, ...]:
    """Return the runs of this cache that have ended, in whatever way."""
    directory = _directory(cache)
    if not directory.is_dir():
        return ()
    return tuple(path.name for path in sorted(directory.glob("[!.]*")) if _has_ended(path))


def forget(cache: Path, run: str) -> None:
    """Delete a run's mark."""
    (_directory(cache) / run).unlink(missing_ok=True)


def _has_ended(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def _directory(cache: Path) -> Path:
    return cache / "runs"
