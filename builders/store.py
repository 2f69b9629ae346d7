"""The cache directory: a content-addressed store of inputs, and what was derived from them.

- `<cache>/store/<two digits>/<sha256>`: read-only files: Debian packages, wheels, model files
- `<cache>/partial/<sha256>`: downloads that are under way or were broken off
- `<cache>/derived/<kind>/<digest>/`: directories made from inputs, complete or absent
- `<cache>/locks/<name>`: empty files that processes lock; `use`: all that use the cache share it
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from builders.errors import StoreError
from builders.files import sha256_of

CACHE_VARIABLE = "EQUIVEC_CACHE"

VERIFIED_NS = 1_000_000_000 * 86_400
"""Modification time of a stored file whose content was verified: 1970-01-02. Whoever writes to the
file changes it, so that a look at the time tells whether the content must be hashed again."""

_POLL_SECONDS = 0.1
_DIGEST = re.compile(r"[0-9a-f]{64}")


def cache_directory(
    environment: Mapping[str, str] = os.environ,
    *,
    system: str = sys.platform,
    home: Path | None = None,
) -> Path:
    """Return where the cache is: `EQUIVEC_CACHE`, or the platform's place for a user's caches."""
    if named := environment.get(CACHE_VARIABLE):
        return Path(named).expanduser().absolute()
    home = Path.home() if home is None else home
    if system == "darwin":
        return home / "Library" / "Caches" / "equivec"
    # The XDG specification: a relative path is to be ignored.
    xdg = environment.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if xdg.startswith("/") else home / ".cache") / "equivec"


class Store:
    """Inputs by the sha256 of their content, safe for several processes and threads at once.

    Raises:
        StoreError: The cache directory cannot be written.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        with usable(cache):
            for name in ("store", "partial", "derived", "locks"):
                (cache / name).mkdir(parents=True, exist_ok=True)
            self._use = os.open(cache / "locks" / "use", os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._use, fcntl.LOCK_SH)
        weakref.finalize(self, os.close, self._use)

    def path(self, sha256: str) -> Path:
        """Return where a file is, or would be."""
        _check_digest(sha256)
        return self.cache / "store" / sha256[:2] / sha256

    def partial(self, sha256: str) -> Path:
        """Return where a file is gathered before it is verified and added."""
        _check_digest(sha256)
        return self.cache / "partial" / sha256

    def find(self, sha256: str, size: int) -> Path | None:
        """Return the verified file; None if it is not there or damaged: then `add` replaces it.

        The content is hashed only when the file was written to since it was last verified.
        """
        path = self.path(sha256)
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        if found.st_size == size and found.st_mtime_ns == VERIFIED_NS:
            return path
        with usable(self.cache):
            if found.st_size != size or sha256_of(path) != sha256:
                return None
            _seal(path)
        return path

    def add(self, sha256: str, file: Path) -> Path | None:
        """Move a file of the cache's file system into the store, when it is what is expected.

        Returns:
            Its place in the store; None if its content is another, and then it stays where it is.
        """
        if sha256_of(file) != sha256:
            return None
        path = self.path(sha256)
        with usable(self.cache):
            path.parent.mkdir(exist_ok=True)
            _seal(file)
            file.replace(path)
        return path

    def gathered(self, kind: str, files: Mapping[str, str]) -> Path:
        """Return a directory that shows stored files under names of their own.

        Args:
            kind: What it holds, such as `wheels`.
            files: File names, each with the sha256 of a file that is in the store.
        """
        content = "".join(f"{sha256} {name}\n" for name, sha256 in sorted(files.items()))
        digest = hashlib.sha256(content.encode()).hexdigest()

        def make(directory: Path) -> None:
            with usable(directory):
                for name, sha256 in files.items():
                    link_or_copy(self.path(sha256), directory / name)

        directory = self.derived(kind, digest, make)
        if all(_is_same(self.path(sha256), directory / name) for name, sha256 in files.items()):
            return directory
        remove_tree(directory)  # a file was damaged, here and in the store, and replaced there
        return self.derived(kind, digest, make)

    def derived(self, kind: str, digest: str, make: Callable[[Path], None]) -> Path:
        """Return the directory that `make` fills, made once for each kind and digest.

        Args:
            kind: What it holds, such as `base`.
            digest: Hexadecimal digest of everything that `make` depends on.
            make: Fills an empty directory. When it fails, nothing is left behind.
        """
        folder = self.cache / "derived" / kind
        path = folder / digest
        if path.is_dir():
            os.utime(path)  # by its time, `clean` knows what was used last
            return path
        with self.exclusive(f"{kind}-{digest}"):
            if not path.is_dir():
                self._make(path, make)
        return path

    def rederived(self, kind: str, digest: str, make: Callable[[Path], None]) -> Path:
        """Return the directory that `make` fills, made now, whether it was there or not."""
        path = self.cache / "derived" / kind / digest
        with self.exclusive(f"{kind}-{digest}"):
            self._make(path, make)
        return path

    def _make(self, path: Path, make: Callable[[Path], None]) -> None:
        """Fill a directory, and put it in the place of what is there."""
        unfinished, replaced = path.with_name(f".{path.name}"), path.with_name(f".{path.name}.old")
        with usable(self.cache):
            for leftover in (unfinished, replaced):  # of a run that was killed
                remove_tree(leftover)
            unfinished.mkdir(parents=True)
        try:
            with roomy(self.cache):
                make(unfinished)
            with contextlib.suppress(FileNotFoundError):
                path.rename(replaced)
            unfinished.rename(path)
        finally:
            for leftover in (unfinished, replaced):
                remove_tree(leftover)

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold what only one process (and thread) may hold; wait for it as long as it takes.

        The system releases it when the process ends, in whatever way.
        """
        with self._lock_file(name) as file:
            while not _try_lock(file):
                # A blocking call could not be interrupted in a thread.
                time.sleep(_POLL_SECONDS)
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everybody else from the cache: whoever opens it meanwhile waits.

        Raises:
            StoreError: Somebody uses it.
        """
        try:
            fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            fcntl.flock(self._use, fcntl.LOCK_SH)  # what failed has given the old lock away
            raise StoreError(
                "the cache is in use by another command",
                where=str(self.cache),
                remedy="wait until it has ended, or stop it (`nox -s serve`, a build, a test)",
            ) from error
        try:
            yield
        finally:
            fcntl.flock(self._use, fcntl.LOCK_SH)

    def sweep(self) -> None:
        """Delete the directories that killed runs left half made; those of living ones stay."""
        for leftover in (self.cache / "derived").glob("*/.*"):
            digest = leftover.name.removeprefix(".").removesuffix(".old")
            with self._lock_file(f"{leftover.parent.name}-{digest}") as file:
                if _try_lock(file):
                    remove_tree(leftover)

    def _lock_file(self, name: str) -> BinaryIO:
        with usable(self.cache):
            return (self.cache / "locks" / name).open("ab")


@contextlib.contextmanager
def usable(place: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into an error that says what to do."""
    try:
        with roomy(place):
            yield
    except OSError as error:
        raise StoreError(
            f"cannot be used: {error.strerror or error}",
            where=str(error.filename or place),
            remedy=f"make it writable, or name another place in {CACHE_VARIABLE}",
        ) from error


@contextlib.contextmanager
def roomy(place: Path) -> Iterator[None]:
    """Turn a full disk into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(
            "no space is left",
            where=str(error.filename or place),
            remedy=f"free some, or name another place in {CACHE_VARIABLE}",
        ) from error


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; where the file system cannot, copy it with its time."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        shutil.copy2(source, target)


def remove_tree(directory: Path) -> None:
    """Delete a directory with everything in it; nothing happens if there is none."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)


def _is_same(stored: Path, shown: Path) -> bool:
    """Tell whether a second name or copy of a stored file is as it was made."""
    try:
        original, found = stored.stat(), shown.stat()
    except FileNotFoundError:
        return False
    return (original.st_size, original.st_mtime_ns) == (found.st_size, found.st_mtime_ns)


def _try_lock(file: BinaryIO) -> bool:
    """Lock a file if nobody else has; the system unlocks it when it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _seal(path: Path) -> None:
    path.chmod(0o444)
    os.utime(path, ns=(VERIFIED_NS, VERIFIED_NS))


def _check_digest(sha256: str) -> None:
    if _DIGEST.fullmatch(sha256) is None:
        raise StoreError(f"not a sha256 in hexadecimal: {sha256!r}", remedy="correct the lock")
