"""ELF files small enough to write by hand, so that tests need no library of the host's."""

from __future__ import annotations

import struct
from collections.abc import Sequence

HEADER = struct.Struct("<4sBBB9xHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
MACHINES = {"amd64": 62, "arm64": 183, "riscv64": 243}

DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH = 1, 5, 14, 15, 29
DT_VERDEF, DT_VERNEED = 0x6FFFFFFC, 0x6FFFFFFE


def elf_file(
    machine: str = "amd64",
    *,
    soname: str = "",
    needed: Sequence[str] = (),
    rpath: str = "",
    runpath: str = "",
    versions_needed: Sequence[str] = (),
    versions_defined: Sequence[str] = (),
) -> bytes:
    """Return a shared library without code and without section headers, loaded at address 0."""
    strings = bytearray(b"\0")

    def text(value: str) -> int:
        strings.extend(value.encode() + b"\0")
        return len(strings) - len(value) - 1

    tags = [(DT_NEEDED, text(name)) for name in needed]
    for tag, value in ((DT_SONAME, soname), (DT_RPATH, rpath), (DT_RUNPATH, runpath)):
        if value:
            tags.append((tag, text(value)))
    tables = {
        DT_VERNEED: _verneed([text(version) for version in versions_needed]),
        DT_VERDEF: _verdef([text(version) for version in versions_defined], text("base")),
    }
    present = {
        tag: table
        for (tag, table), names in zip(
            tables.items(), (versions_needed, versions_defined), strict=True
        )
        if names
    }
    start = HEADER.size + 2 * SEGMENT.size
    dynamic_size = 16 * (len(tags) + len(present) + 2)
    offset = start + dynamic_size
    content = bytearray()
    for tag, table in present.items():
        tags.append((tag, offset + len(content)))
        content.extend(table)
    tags += [(DT_STRTAB, offset + len(content)), (0, 0)]
    content.extend(strings)
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    size = offset + len(content)
    header = HEADER.pack(
        *(b"\x7fELF", 2, 1, 1, 3, MACHINES[machine], 1),
        *(0, HEADER.size, 0, 0, HEADER.size, SEGMENT.size, 2, 0, 0, 0),
    )
    load = SEGMENT.pack(1, 4, 0, 0, 0, size, size, 8)
    dynamic_segment = SEGMENT.pack(2, 4, start, start, start, dynamic_size, dynamic_size, 8)
    return header + load + dynamic_segment + dynamic + bytes(content)


def _verneed(names: Sequence[int]) -> bytes:
    """Return one Verneed record with a Vernaux record for each name."""
    records = [struct.pack("<HHIII", 1, len(names), 0, 16, 0)]
    for index, name in enumerate(names):
        following = 16 if index + 1 < len(names) else 0
        records.append(struct.pack("<IHHII", 0, 0, 2, name, following))
    return b"".join(records)


def _verdef(names: Sequence[int], base: int) -> bytes:
    """Return a Verdef record for the file itself and one for each name, each with a Verdaux."""
    records = []
    for index, (flags, name) in enumerate([(1, base), *((0, name) for name in names)]):
        following = 28 if index < len(names) else 0
        records.append(struct.pack("<HHHHIII", 1, flags, index + 1, 1, 0, 20, following))
        records.append(struct.pack("<II", name, 0))
    return b"".join(records)
