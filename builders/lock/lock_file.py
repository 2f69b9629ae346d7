"""Lock files, read strictly: what is wrong in one is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builders.errors import LockError

REMEDY = "`nox -s lock` writes it"


def read_text(path: Path, missing: str) -> str:
    """Read a lock file.

    Args:
        path: The file.
        missing: What is wrong if there is none.

    Raises:
        LockError: It is missing, or not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise LockError(missing, where=str(path), remedy=REMEDY) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"cannot be read: {error}", where=str(path), remedy=REMEDY) from error


def parse_json(text: str, path: Path) -> Any:
    """Parse a lock file's JSON.

    Raises:
        LockError: It is malformed, or has a key twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise LockError(f"{key} is there twice", where=str(path), remedy=REMEDY)
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise LockError(
            f"malformed: {error.msg}", where=f"{path}:{error.lineno}", remedy=REMEDY
        ) from error
