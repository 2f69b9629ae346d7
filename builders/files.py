"""Files that appear whole or not at all, and their digests."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_YOUNG_SECONDS = 1.0


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one step: readers see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it has its name: see `sweep`
            file.write(content)
            file.flush()
            Path(partial).chmod(0o644)
            os.replace(partial, path)  # noqa: PTH105 (atomic on POSIX, which Path.replace does not promise)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def sweep(directory: Path) -> None:
    """Delete the parts that killed writers of `write_atomically` left below a directory.

    The system releases a writer's lock when it ends. One that was not yet locked is spared by its
    age.
    """
    for path in directory.rglob(f".*.{'?' * 8}"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - path.stat().st_mtime > _YOUNG_SECONDS:
                path.unlink()


def sha256_of(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(document: object) -> bytes:
    """Return a document's one JSON form: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def readable_json(document: object) -> bytes:
    """Return a document as the JSON of a model's files: indented, in its own order, ASCII."""
    return f"{json.dumps(document, indent=2)}\n".encode("ascii")


def digest_of(document: object) -> str:
    """Return `sha256:…` of a document's canonical JSON."""
    return f"sha256:{hashlib.sha256(canonical_json(document)).hexdigest()}"


def tree_digests(root: Path, *, leave_out: Iterable[str] = ("__pycache__",)) -> Mapping[str, str]:
    """Return the sha256 of every file below a directory, by its POSIX path.

    Args:
        root: The directory.
        leave_out: Names of directories that do not count.
    """
    skipped = frozenset(leave_out)
    return {
        path.relative_to(root).as_posix(): sha256_of(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not skipped.intersection(path.relative_to(root).parts)
    }
