"""A file that has arrived: checked against its pin, and copied into the store."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from builders.errors import FetchError
from builders.files import sha256_of
from builders.pretrained.source import Source
from builders.store import Store, usable


@dataclass(frozen=True, kw_only=True)
class Pin:
    """What is known of a file before it is fetched."""

    sha256: str | None
    size: int | None


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file is."""

    sha256: str
    size: int


class WrongFileError(FetchError):
    """A file is not what its pin says."""


def find(store: Store, pin: Pin) -> Content | None:
    """Return the content of a pinned file that is in the store already."""
    if pin.sha256 is None:
        return None
    path = store.path(pin.sha256)
    size = path.stat().st_size if pin.size is None and path.exists() else pin.size
    if size is None or store.find(pin.sha256, size) is None:
        return None
    return Content(sha256=pin.sha256, size=size)


def bring(store: Store, path: Path, pin: Pin, *, source: Source) -> Content:
    """Copy a file into the store: whoever else has it keeps it.

    Args:
        store: Where to.
        path: Where it is.
        pin: What it has to be.
        source: What errors call it.

    Raises:
        WrongFileError: It is not what its pin says.
        FetchError: It cannot be read.
    """
    try:
        found = Content(sha256=sha256_of(path), size=path.stat().st_size)
    except OSError as error:
        raise FetchError(f"cannot be read: {error.strerror}", where=str(source)) from error
    if found.sha256 != (pin.sha256 or found.sha256) or found.size != (
        found.size if pin.size is None else pin.size
    ):
        raise WrongFileError(
            "not what its pin says\n"
            f"  expected sha256 {pin.sha256}, {pin.size} bytes\n"
            f"  found    sha256 {found.sha256}, {found.size} bytes",
            where=str(source),
            remedy="look whether a mirror alters files; where the pin is wrong, find out why before"
            " correcting it",
        )
    with store.exclusive(f"fetch-{found.sha256}"), usable(store.cache):
        partial = store.partial(found.sha256)
        try:
            shutil.copyfile(path, partial)
            if store.add(found.sha256, partial) is None:
                raise FetchError("it changed while it was read", where=str(source))
        finally:
            partial.unlink(missing_ok=True)
    return found
