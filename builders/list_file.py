"""Committed lists: a text file with an entry a line, where `#` begins a comment."""

from __future__ import annotations

from pathlib import Path

from builders.errors import LockError


def read(path: Path) -> tuple[str, ...]:
    """Return the entries of a list, in its order.

    Raises:
        LockError: It is missing, or names an entry twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise LockError(
            f"a list is missing: {error.strerror}", where=str(path), remedy="restore it from git"
        ) from error
    entries: list[str] = []
    for number, line in enumerate(lines, 1):
        entry = line.partition("#")[0].strip()
        if entry in entries:
            raise LockError(
                f"{entry} is there twice", where=f"{path}:{number}", remedy="delete this line"
            )
        if entry:
            entries.append(entry)
    return tuple(entries)


def read_if_there(path: Path) -> tuple[str, ...]:
    """Return the entries of a list; none if there is no such file.

    Raises:
        LockError: It names an entry twice.
    """
    return read(path) if path.exists() else ()
