"""Audit of the Python packages: the locked ones, whole, and nothing else."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from fnmatch import fnmatchcase

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builders import accelerators
from builders.audit.bytecode import source_of
from builders.check import Check, from_findings
from builders.errors import ArchiveError
from builders.formats.tree import FileTree
from builders.paths import SITE

_METADATA = re.compile(r"(?P<directory>.*/(?:dist|site)-packages)/[^/]+\.(?:dist|egg)-info")
_ACCELERATOR_LIBRARY = re.compile(
    r"lib(cu(da|blas|dnn|fft|file|pti|rand|solver|sparse)|nccl|nv(rtc|jit|toolsext|shmem)).*\.so"
    r"|.*cuda.*\.so",
    re.IGNORECASE,
)
_HASHES = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """An installed Python package: its `.dist-info` directory and what its METADATA says."""

    directory: str
    name: str
    version: str

    @property
    def place(self) -> str:
        """Where it is installed."""
        return posixpath.dirname(self.directory)


def wheels_locked(tree: FileTree, wheels: Mapping[str, str]) -> Check:
    """Check that the packages of the image are those of the lock, each once, and no other.

    Args:
        tree: The image's files.
        wheels: The locked version of each package.
    """
    locked: Mapping[str, str] = {
        canonicalize_name(name): version for name, version in wheels.items()
    }
    found = tuple(_distributions(tree))
    return from_findings(
        "wheels-locked", _differences(locked, found), figure=len(found), limit=len(locked)
    )


def wheel_records(tree: FileTree, prune: Sequence[str]) -> Check:
    """Check each RECORD: what it lists is there, unaltered, or pruned; what is there is listed.

    Byte code need not be listed: it belongs to its source.

    Args:
        tree: The image's files.
        prune: Glob patterns, relative to `SITE`, of what the image leaves out; `*` matches `/` too.

    Sources:
        https://packaging.python.org/specifications/recording-installed-packages/#the-record-file
    """
    recorded: set[str] = set()
    findings = []
    for distribution in _distributions(tree):
        if distribution.place != SITE:
            continue  # what is wrong with that, `wheels_locked` says
        for row in _record(tree, distribution):
            path = posixpath.normpath(posixpath.join(f"/{SITE}", row.path)).lstrip("/")
            recorded.add(path)
            problem = _row_problem(tree, path, row, prune)
            if problem:
                findings.append(f"/{path}: {problem} ({distribution.name})")
    for path in tree.below(SITE):
        if tree.entries[path].is_directory or path in recorded or source_of(path) in recorded:
            continue
        findings.append(f"/{path}: belongs to no wheel")
    return from_findings("wheel-record", findings, figure=len(recorded))


def no_accelerators(tree: FileTree) -> Check:
    """Check that nothing of CUDA came along: a missing CPU pin costs gigabytes."""
    packages = (
        f"package {distribution.name} {distribution.version}"
        for distribution in _distributions(tree)
        if accelerators.is_for_one(distribution.name)
    )
    libraries = (
        f"/{path}" for path in tree.entries if _ACCELERATOR_LIBRARY.match(posixpath.basename(path))
    )
    return from_findings("no-accelerator-packages", (*packages, *libraries))


def _distributions(tree: FileTree) -> Iterator[Distribution]:
    for path in tree.entries:
        if _METADATA.fullmatch(path) is None:
            continue
        metadata = f"{path}/METADATA"
        entry = tree.entries.get(metadata)
        content = tree.read(metadata) if entry is not None and entry.is_file else b""
        header = BytesHeaderParser().parsebytes(content)
        yield Distribution(
            directory=path,
            name=str(header.get("Name", "")),
            version=str(header.get("Version", "")),
        )


def _differences(locked: Mapping[str, str], found: Sequence[Distribution]) -> Iterator[str]:
    seen: set[str] = set()
    for distribution in found:
        name = canonicalize_name(distribution.name)
        if distribution.place != SITE:
            yield f"/{distribution.directory}: not in /{SITE}"
            continue
        if name not in locked:
            yield f"/{distribution.directory}: {name or 'a package without a name'} is not locked"
        elif name in seen:
            yield f"/{distribution.directory}: {name} is there twice"
        elif not _same_version(distribution.version, locked[name]):
            yield f"{name}: version {distribution.version or 'unknown'}, locked {locked[name]}"
        seen.add(name)
    yield from (f"{name} {locked[name]}: not there" for name in locked if name not in seen)


def _same_version(found: str, locked: str) -> bool:
    try:
        return Version(found) == Version(locked)
    except InvalidVersion:
        return False


@dataclass(frozen=True, kw_only=True)
class _Row:
    path: str
    hash: str


def _record(tree: FileTree, distribution: Distribution) -> Iterator[_Row]:
    path = f"{distribution.directory}/RECORD"
    yield _Row(path=posixpath.relpath(path, SITE), hash="")
    if path not in tree.entries or not tree.entries[path].is_file:
        return
    text = tree.read(path).decode("utf-8", errors="backslashreplace")
    try:
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            if row:
                yield _Row(path=row[0], hash=row[1] if len(row) > 1 else "")
    except csv.Error as error:
        raise ArchiveError(
            f"a malformed RECORD: {error}", where=f"/{path}", remedy="take another version of it"
        ) from error


def _row_problem(tree: FileTree, path: str, row: _Row, prune: Sequence[str]) -> str:
    """Return what is wrong with a file of a RECORD; nothing if it is as recorded or pruned."""
    if not path.startswith(f"{SITE}/"):
        return f"leads out of /{SITE}"
    entry = tree.entries.get(path)
    if entry is None:
        relative = path.removeprefix(f"{SITE}/")
        return "" if any(fnmatchcase(relative, glob) for glob in prune) else "is not there"
    if not entry.is_file:
        return f"is a {entry.member.kind}"
    if not row.hash:
        own = posixpath.basename(path) == "RECORD" or source_of(path) is not None
        return "" if own else "is recorded without a hash"
    algorithm, _, expected = row.hash.partition("=")
    if algorithm not in _HASHES:
        return f"is recorded with the hash {row.hash!r}"
    digest = hashlib.new(algorithm)
    for chunk in tree.chunks(path):
        digest.update(chunk)
    found = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    return "" if found == expected else "is not what was recorded"
