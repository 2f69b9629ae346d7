"""One layer of an image: a tar archive, read as if it came from an enemy.

Nothing is extracted to the host's file system: macOS would merge names that differ in case, and a
hostile archive could write outside its place. Members are listed with where their contents begin.
"""

from __future__ import annotations

import gzip
import io
import math
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import zstandard

from builders.errors import ArchiveError

TAR = "application/vnd.oci.image.layer.v1.tar"
TAR_GZIP = f"{TAR}+gzip"
TAR_ZSTD = f"{TAR}+zstd"
MEDIA_TYPES = (TAR, TAR_GZIP, TAR_ZSTD)

UNPACKED_LIMIT = 16 * 2**30
"""The most bytes that a layer may unpack to: beyond that it is a decompression bomb."""

CHUNK = 2**20

ROOT = "."
"""The path of the root directory's own member."""

_MOST_MEMBERS = 500_000
_LARGEST_HEADER = 2**16
_REMEDY = "do not use this image: build it again, and find out what made this layer"


class Kind(StrEnum):
    """What a member is; everything else (devices, pipes, sparse files) is refused."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One member of a layer.

    Attributes:
        path: Relative to the root, `/` between components; `ROOT` is the root itself.
        kind: What it is.
        mode: Permission bits, with setuid, setgid and sticky.
        uid: Its owner.
        gid: Its group.
        mtime: When it was modified, in seconds since 1970.
        newest: The latest of all times in its header (modified, accessed, changed).
        size: Bytes of content; of a hard link those of its file.
        offset: Where in the unpacked layer its content begins.
        target: Where a symbolic link points, as written; the path of a hard link's file.
        xattrs: The names of its extended attributes.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: float
    newest: float
    size: int
    offset: int
    target: str
    xattrs: tuple[str, ...]


def unpacked(blob: Path, media_type: str) -> Iterator[bytes]:
    """Yield a layer's tar archive in chunks.

    Raises:
        ArchiveError: The blob does not decompress.
    """
    try:
        with blob.open("rb") as packed:
            file = _decompressor(packed, media_type)
            while chunk := file.read(CHUNK):
                yield chunk
    except (zstandard.ZstdError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ArchiveError(
            f"does not decompress as {media_type}: {error}", where=str(blob), remedy=_REMEDY
        ) from error


def read(file: BinaryIO, *, where: str, limit: int = UNPACKED_LIMIT) -> tuple[Member, ...]:
    """List the members of an unpacked layer.

    Args:
        file: The tar archive; seekable.
        where: What to call it in an error.
        limit: The most bytes that its members may reach to.

    Raises:
        ArchiveError: It is no tar archive, or holds what no layer may: a name that is absolute,
            leads upwards or is not printable, a name twice, a device or pipe, a sparse file, a hard
            link to what the layer does not hold before it, contents beyond the limit or the
            archive's end, or bytes after the archive's end.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    members: dict[str, Member] = {}
    end = 0
    for header in _headers(file, where):
        member = _member(header, where)
        content_end = member.offset + member.size
        end = -(-content_end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if content_end > limit:
            raise _refusal(where, header.name, f"passes the limit of {limit} unpacked bytes")
        if end > size:
            raise _refusal(where, header.name, "is cut off: the archive ends before its content")
        if member.path in members:
            raise _refusal(where, header.name, "is there twice")
        if len(members) >= _MOST_MEMBERS:
            raise _refusal(where, header.name, f"is more than the {_MOST_MEMBERS}th member")
        if member.kind is Kind.HARDLINK:
            member = _linked(member, members, where)
        members[member.path] = member
    _refuse_trailer(file, end, where)
    return tuple(members.values())


def _decompressor(packed: BinaryIO, media_type: str) -> BinaryIO:
    if media_type == TAR_ZSTD:
        decompressor = zstandard.ZstdDecompressor()
        return cast(
            "BinaryIO",
            decompressor.stream_reader(packed, read_size=CHUNK, read_across_frames=True),
        )
    if media_type == TAR_GZIP:
        return cast("BinaryIO", gzip.GzipFile(fileobj=packed))
    return packed


class _Headers:
    """The file as tarfile may see it: headers only, so that none can claim the whole memory."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self._where = where

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise ArchiveError(f"holds a header of {size} bytes", where=self._where, remedy=_REMEDY)
        return self._file.read(size)

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()


def _headers(file: BinaryIO, where: str) -> Iterator[tarfile.TarInfo]:
    # tarfile reads what old and new archivers write; where it is lenient, this module is not.
    try:
        with tarfile.open(fileobj=cast("BinaryIO", _Headers(file, where)), mode="r:") as archive:
            for header in archive:
                if archive.pax_headers:
                    raise _refusal(where, header.name, "follows a global header")
                yield header
    except (tarfile.TarError, ValueError, RecursionError, OverflowError) as error:
        raise ArchiveError(
            f"not a well-formed tar archive: {error}", where=where, remedy=_REMEDY
        ) from error


def _member(header: tarfile.TarInfo, where: str) -> Member:
    if header.issparse():
        raise _refusal(where, header.name, "is a sparse file")
    kind = _KINDS.get(header.type)
    if kind is None:
        raise _refusal(where, header.name, f"is {_describe(header)}")
    if header.size < 0 or (kind is not Kind.FILE and header.size):
        raise _refusal(where, header.name, f"is a {kind} of {header.size} bytes")
    target = header.linkname
    if kind is Kind.HARDLINK:
        target = _path(target, header.name, where)
    elif kind is Kind.SYMLINK and not (target and target.isprintable()):
        raise _refusal(where, header.name, f"is a link to {target!r}")
    path = _path(header.name, header.name, where)
    if path == ROOT and kind is not Kind.DIRECTORY:
        raise _refusal(where, header.name, f"makes the root a {kind}")
    return Member(
        path=path,
        kind=kind,
        mode=header.mode & 0o7777,
        uid=header.uid,
        gid=header.gid,
        mtime=header.mtime,
        newest=_newest_time(header, where),
        size=header.size,
        offset=header.offset_data,
        target=target,
        xattrs=tuple(
            sorted(
                name.removeprefix(_XATTR) for name in header.pax_headers if name.startswith(_XATTR)
            )
        ),
    )


def _newest_time(header: tarfile.TarInfo, where: str) -> float:
    others = (header.pax_headers[name] for name in ("atime", "ctime") if name in header.pax_headers)
    try:
        times = [float(time) for time in (header.mtime, *others)]
    except ValueError:
        times = [math.nan]
    if not all(map(math.isfinite, times)):
        raise _refusal(where, header.name, "has a time that is no number")
    return max(times)


_XATTR = "SCHILY.xattr."

_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARDLINK,
}


def _describe(header: tarfile.TarInfo) -> str:
    if header.isdev():
        return "a pipe" if header.isfifo() else "a device"
    return f"of the unknown type {header.type!r}"


def _path(name: str, member: str, where: str) -> str:
    """Return a name in the form of `Member.path`, refusing what leads out of the root."""
    if not name.isprintable():
        raise _refusal(where, member, "has a name that is not printable")
    path = PurePosixPath(name)
    if path.is_absolute():
        raise _refusal(where, member, f"has the absolute name {name!r}")
    if ".." in path.parts:
        raise _refusal(where, member, f"has the name {name!r}, which leads upwards")
    return path.as_posix()


def _linked(link: Member, earlier: Mapping[str, Member], where: str) -> Member:
    """Return a hard link with the content of its file, which must be in the layer before it."""
    file = earlier.get(link.target)
    if file is None or file.kind not in (Kind.FILE, Kind.HARDLINK):
        raise _refusal(
            where, link.path, f"is a hard link to {link.target!r}, which is no file before it"
        )
    return replace(link, size=file.size, offset=file.offset)


def _refuse_trailer(file: BinaryIO, end: int, where: str) -> None:
    """Refuse bytes after the end: another reader might take them for members."""
    file.seek(end)
    chunks: Iterable[bytes] = iter(lambda: file.read(CHUNK), b"")
    if any(chunk.strip(b"\0") for chunk in chunks):
        raise ArchiveError(
            f"holds something after its end (byte {end})", where=where, remedy=_REMEDY
        )


def _refusal(where: str, member: str, problem: str) -> ArchiveError:
    return ArchiveError(f"member {member!r} {problem}", where=where, remedy=_REMEDY)
