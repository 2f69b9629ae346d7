"""How much of a disk a run uses, at its end and at most."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 1.0
"""Between two looks. What comes and goes in between is not seen."""


@dataclass(kw_only=True)
class Usage:
    """Used bytes of a file system: at the beginning, now, and the most that was seen.

    All that writes to the file system counts, other programs too.
    """

    place: Path
    begun: int
    most: int
    now: int

    def look(self) -> None:
        """Look once more."""
        self.now = shutil.disk_usage(self.place).used
        self.most = max(self.most, self.now)

    def __str__(self) -> str:
        free = shutil.disk_usage(self.place).free
        return (
            f"disk: at most {_gigabytes(self.most - self.begun)} more than at the beginning, now"
            f" {_gigabytes(self.now - self.begun)} more; {_gigabytes(free)} are free"
            f" (the file system of {self.place}, seen every {SECONDS:g} s)"
        )


@contextmanager
def watched(place: Path) -> Iterator[Usage]:
    """Watch a file system while a block runs."""
    begun = shutil.disk_usage(place).used
    usage = Usage(place=place, begun=begun, most=begun, now=begun)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS):
            usage.look()

    watcher = threading.Thread(target=watch, name="disk", daemon=True)
    watcher.start()
    try:
        yield usage
    finally:
        ended.set()
        watcher.join()
        usage.look()


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
