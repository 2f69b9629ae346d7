"""An ELF file's dynamic facts: its machine, what it needs to load, the symbol versions it wants.

Everything is found the way the dynamic loader finds it, from the program headers: a file whose
section headers were stripped off still tells what it needs. Layouts are the System V gABI's and
https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from builders.errors import ArchiveError

MAGIC = b"\x7fELF"

_MACHINES = {3: "386", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64"}
_EI_CLASS, _EI_DATA = 4, 5
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 14, 15, 29
_DT_VERDEF, _DT_VERNEED = 0x6FFFFFFC, 0x6FFFFFFE
_VER_FLG_BASE = 1
_LONGEST_NAME = 4096


@dataclass(frozen=True, kw_only=True)
class Elf:
    """What the dynamic loader would read of one ELF file.

    `machine` is the architecture's name in a platform (`amd64`, `arm64`), or `elf-<number>` for one
    that no platform has. Of a file that is not 64-bit little-endian only the machine is read.
    `versions_needed` and `versions_defined` hold symbol versions as written: `GLIBC_2.34`.
    """

    machine: str
    interpreter: str | None = None
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    versions_needed: tuple[str, ...] = ()
    versions_defined: tuple[str, ...] = ()


def is_elf(magic: bytes) -> bool:
    """Tell from a file's first bytes (four are enough) whether it is an ELF file."""
    return magic.startswith(MAGIC)


def read(file: BinaryIO) -> Elf | None:
    """Read a seekable file; None when it is no ELF file.

    Raises:
        ArchiveError: It begins as an ELF file and is malformed.
    """
    file.seek(0)
    if not is_elf(file.read(len(MAGIC))):
        return None
    try:
        return _read(_Bytes(file))
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise ArchiveError(
            f"a malformed ELF file: {error}", remedy="take another version of what holds it"
        ) from error


def newest(versions: Iterable[str], family: str) -> str | None:
    """Return the newest number of a family (`2.34` of `GLIBC_2.17`, `GLIBC_2.34`), None without."""
    numbers = [
        match[1] for version in versions if (match := re.fullmatch(rf"{family}_([\d.]+)", version))
    ]
    return max(numbers, key=version_key, default=None)


def version_key(number: str) -> tuple[int, ...]:
    """Return what orders symbol versions: `2.4` comes before `2.34`."""
    return tuple(int(part) for part in number.split("."))


@dataclass(frozen=True, kw_only=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


class _Bytes:
    """Checked random access to a file: reading beyond its end is a `struct.error`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        self._file.seek(offset)
        return struct.unpack(layout, self._file.read(struct.calcsize(layout)))

    def text(self, offset: int) -> str:
        self._file.seek(offset)
        name, end, _ = self._file.read(_LONGEST_NAME).partition(b"\0")
        if not end:
            raise struct.error(f"no end of the name at offset {offset}")
        return name.decode()


def _read(file: _Bytes) -> Elf:
    file_class, order = file.unpack("<BB", _EI_CLASS)
    number = file.unpack("<H" if order == _LITTLE_ENDIAN else ">H", 18)[0]
    machine = _MACHINES.get(number, f"elf-{number}")
    if (file_class, order) != (_CLASS_64, _LITTLE_ENDIAN):
        return Elf(machine=machine)
    segments = tuple(_segments(file))
    interpreter = next((file.text(s.offset) for s in segments if s.kind == _PT_INTERP), None)
    dynamic = next((s for s in segments if s.kind == _PT_DYNAMIC and s.size), None)
    if dynamic is None:
        return Elf(machine=machine, interpreter=interpreter)
    tags = tuple(_tags(file, dynamic))
    tables = dict(tags)
    strings = _offset(segments, tables.get(_DT_STRTAB, 0))

    def texts(wanted: int) -> Iterator[str]:
        return (file.text(strings + value) for tag, value in tags if tag == wanted)

    def paths(wanted: int) -> tuple[str, ...]:
        return tuple(path for text in texts(wanted) for path in text.split(":"))

    needed, defined = (
        tuple(sorted(set(read_table(file, _offset(segments, tables[tag]), strings))))
        if tag in tables
        else ()
        for tag, read_table in ((_DT_VERNEED, _versions_needed), (_DT_VERDEF, _versions_defined))
    )
    return Elf(
        machine=machine,
        interpreter=interpreter,
        soname=next(texts(_DT_SONAME), None),
        needed=tuple(texts(_DT_NEEDED)),
        rpath=paths(_DT_RPATH),
        runpath=paths(_DT_RUNPATH),
        versions_needed=needed,
        versions_defined=defined,
    )


def _segments(file: _Bytes) -> Iterator[_Segment]:
    (table,) = file.unpack("<Q", 32)
    size, count = file.unpack("<HH", 54)
    for index in range(count):
        kind, _, offset, address, _, length, _, _ = file.unpack("<IIQQQQQQ", table + index * size)
        yield _Segment(kind=kind, offset=offset, address=address, size=length)


def _tags(file: _Bytes, dynamic: _Segment) -> Iterator[tuple[int, int]]:
    for offset in range(dynamic.offset, dynamic.offset + dynamic.size, 16):
        tag, value = file.unpack("<qQ", offset)
        if tag == 0:
            return
        yield tag, value


def _offset(segments: tuple[_Segment, ...], address: int) -> int:
    """Return where in the file the byte is that is loaded at an address."""
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
            return segment.offset + address - segment.address
    raise struct.error(f"address {address:#x} is in no loaded segment")


def _versions_needed(file: _Bytes, entry: int, strings: int) -> Iterator[str]:
    """Walk the chain of Verneed records, each with a chain of Vernaux records."""
    while True:
        _, _, _, first, following = file.unpack("<HHIII", entry)
        name = entry + first
        while True:
            _, _, _, text, step = file.unpack("<IHHII", name)
            yield file.text(strings + text)
            if step == 0:
                break
            name += step
        if following == 0:
            return
        entry += following


def _versions_defined(file: _Bytes, entry: int, strings: int) -> Iterator[str]:
    """Walk the chain of Verdef records; the first Verdaux of each is its name."""
    while True:
        _, flags, _, _, _, first, following = file.unpack("<HHHHIII", entry)
        if not flags & _VER_FLG_BASE:
            yield file.text(strings + file.unpack("<I", entry + first)[0])
        if following == 0:
            return
        entry += following
