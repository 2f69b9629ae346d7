"""Debian packages read without dpkg, so on every system, and as if they came from an enemy.

A package is an `ar` archive of three members: `debian-binary`, `control.tar` and `data.tar`, the
latter two compressed (https://manpages.debian.org/bookworm/dpkg-dev/deb.5.en.html). Nothing is
extracted to the host's file system and no maintainer script is run. The `debian` package of PyPI is
not used: it starts `unzstd`, and unpacks whole archives in memory however large they become.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from builders.errors import ArchiveError
from builders.formats import layer
from builders.formats.layer import CHUNK, Kind, Member

UNPACKED_LIMIT = 2**30
"""The most bytes that a package may unpack to: beyond that it is a decompression bomb."""

_CONTROL_LIMIT = 2**24
_MEMORY_LIMIT = 2**28  # of a decompressor: a header may ask for gigabytes of dictionary
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_AR_END = b"`\n"
_FORMAT = re.compile(rb"2\.\d+\n")
_REMEDY = "download the package again; if it stays so, do not use it and renew the lock"


@dataclass(frozen=True, kw_only=True)
class Deb:
    """One package, whose contents can be read as long as it is opened.

    Attributes:
        name: Of the package, such as `libc6`.
        architecture: Debian's name for it: amd64, arm64 or all.
        control: Its control paragraph, as written, with a newline at the end.
        members: What it holds, in its order.
    """

    name: str
    architecture: str
    control: str
    members: tuple[Member, ...]
    _unpacked: BinaryIO

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the content of a file in chunks of at most `CHUNK` bytes."""
        for begin in range(0, member.size, CHUNK):
            size = min(CHUNK, member.size - begin)
            yield os.pread(self._unpacked.fileno(), size, member.offset + begin)

    def read(self, member: Member) -> bytes:
        """Return the whole content of a file."""
        return b"".join(self.chunks(member))


@contextmanager
def opened(path: Path, *, limit: int = UNPACKED_LIMIT) -> Iterator[Deb]:
    """Give a package's contents until the block ends.

    Args:
        path: The .deb file.
        limit: The most bytes that it may unpack to.

    Raises:
        ArchiveError: It is no Debian package, or holds what no package may (see `layer.read`).
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        control_part, data_part = _parts(file, path.name)
        control = _control(file, control_part, path.name)
        # From here on errors name the package: in the store, the file's name is only a digest.
        name = _field(control, "Package", path.name)
        # A file without a name: it is gone when it is closed, however this process ends.
        unpacked = cast("BinaryIO", stack.enter_context(tempfile.TemporaryFile()))
        for chunk in _unpacked(file, data_part, name, limit):
            unpacked.write(chunk)
        unpacked.flush()
        yield Deb(
            name=name,
            architecture=_field(control, "Architecture", name),
            control=control,
            members=_members(unpacked, name, limit),
            _unpacked=unpacked,
        )


def extract(path: Path, name: str) -> bytes:
    """Return the content of one file of a package, such as `bin/busybox` of busybox-static.

    Raises:
        ArchiveError: The package is malformed, or does not hold that file.
    """
    with opened(path) as deb:
        for member in deb.members:
            if member.path == name and member.kind in (Kind.FILE, Kind.HARDLINK):
                return deb.read(member)
        raise _refusal(deb.name, f"holds no file {name!r}")


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A member of the outer archive."""

    name: str
    offset: int
    size: int


def _parts(file: BinaryIO, where: str) -> tuple[_Part, _Part]:
    """Find the control and the data archive; as in dpkg, `_` begins what a reader passes over."""
    parts = [part for part in _ar_members(file, where) if not part.name.startswith("_")]
    names = [part.name.partition(".tar")[0] for part in parts]
    if names != ["debian-binary", "control", "data"]:
        listed = ", ".join(part.name for part in parts) or "nothing"
        raise _refusal(where, f"holds {listed} instead of debian-binary, control.tar, data.tar")
    file.seek(parts[0].offset)
    if not _FORMAT.fullmatch(version := file.read(min(parts[0].size, _AR_HEADER))):
        raise _refusal(where, f"is of the format {version!r}, not 2.x")
    return parts[1], parts[2]


def _ar_members(file: BinaryIO, where: str) -> Iterator[_Part]:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise _refusal(where, "is no Debian package: it does not begin as an ar archive")
    offset = len(_AR_MAGIC)
    while offset < end:
        file.seek(offset)
        header = file.read(_AR_HEADER)
        size = header[48:58].strip()
        if len(header) < _AR_HEADER or header[58:] != _AR_END or not size.isdigit():
            raise _refusal(where, f"has a malformed ar header at byte {offset}")
        name = header[:16].decode("ascii", errors="replace").rstrip().removesuffix("/")
        part = _Part(name=name, offset=offset + _AR_HEADER, size=int(size))
        if part.offset + part.size > end:
            raise _refusal(where, f"is cut off: it ends before the end of {name}")
        yield part
        offset = part.offset + part.size + part.size % 2


def _unpacked(file: BinaryIO, part: _Part, where: str, limit: int) -> Iterator[bytes]:
    """Yield a part's tar archive in chunks, up to the limit."""
    file.seek(part.offset)
    packed = file.read(part.size)
    total = 0
    try:
        for chunk in _decompressed(packed, part.name, where):
            total += len(chunk)
            if total > limit:
                raise _refusal(where, f"{part.name} passes the limit of {limit} unpacked bytes")
            yield chunk
    except (lzma.LZMAError, zstandard.ZstdError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _refusal(where, f"{part.name} does not decompress: {error}") from error


def _decompressed(packed: bytes, name: str, where: str) -> Iterator[bytes]:
    compression = name.rpartition(".tar")[2]
    if compression == ".xz":
        yield from _xz(packed)
        return
    file: BinaryIO = io.BytesIO(packed)
    if compression == ".zst":
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MEMORY_LIMIT)
        file = cast("BinaryIO", decompressor.stream_reader(file, read_across_frames=True))
    elif compression == ".gz":
        file = cast("BinaryIO", gzip.GzipFile(fileobj=file))
    elif compression:
        raise _refusal(where, f"{name} is compressed in a way that is not known here")
    while chunk := file.read(CHUNK):
        yield chunk


def _xz(packed: bytes) -> Iterator[bytes]:
    """Yield what one stream unpacks to; `lzma.LZMAFile` could not be given a memory limit."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_LIMIT)
    chunk = decompressor.decompress(packed, CHUNK)
    while chunk:
        yield chunk
        chunk = b"" if decompressor.eof else decompressor.decompress(b"", CHUNK)
    if not decompressor.eof:
        raise EOFError("it is cut off")
    if decompressor.unused_data:
        raise lzma.LZMAError("something follows its end")


def _members(archive: BinaryIO, where: str, limit: int) -> tuple[Member, ...]:
    try:
        return layer.read(archive, where=where, limit=limit)
    except ArchiveError as error:
        raise _refusal(where, error.problem) from error


def _control(file: BinaryIO, part: _Part, where: str) -> str:
    """Return the control paragraph."""
    archive = b"".join(_unpacked(file, part, where, _CONTROL_LIMIT))
    for member in _members(io.BytesIO(archive), where, _CONTROL_LIMIT):
        if member.path == "control" and member.kind is Kind.FILE:
            content = archive[member.offset : member.offset + member.size]
            return content.decode("utf-8", errors="replace").strip("\n") + "\n"
    raise _refusal(where, "has no control file")


def _field(control: str, name: str, where: str) -> str:
    """Return a field of the control paragraph that must be there once, on one line."""
    values = re.findall(rf"^{name}: *([a-z0-9][a-z0-9+.-]*)$", control, flags=re.MULTILINE)
    if len(values) != 1:
        raise _refusal(where, f"its control file has no plain field {name}")
    return str(values[0])


def _refusal(where: str, problem: str) -> ArchiveError:
    return ArchiveError(problem, where=where, remedy=_REMEDY)
