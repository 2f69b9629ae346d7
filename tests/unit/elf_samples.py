"""Small ELF files with just what the dynamic loader reads of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MACHINES = {"amd64": 62, "arm64": 183}


def elf_file(
    *,
    machine: str = "amd64",
    interpreter: str = "",
    needed: Sequence[str] = (),
    rpath: str | None = None,
    runpath: str | None = None,
    asks_for: Sequence[str] = (),
    defines: Sequence[str] = (),
) -> bytes:
    """Return a shared library: headers, one segment that holds all, and the dynamic section."""
    strings = bytearray(b"\0")

    def name(text: str) -> int:
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text.encode()) - 1

    tags = [(1, name(library)) for library in needed]
    tags += [(tag, name(path)) for tag, path in ((15, rpath), (29, runpath)) if path is not None]
    sought = [
        struct.pack("<IHHII", 0, 0, 2, name(version), 16 * (index < len(asks_for) - 1))
        for index, version in enumerate(asks_for)
    ]
    given = [
        struct.pack("<HHHHIII", 1, 0, 2, 1, 0, 20, 28 * (index < len(defines) - 1))
        + struct.pack("<II", name(version), 0)
        for index, version in enumerate(defines)
    ]
    verneed = struct.pack("<HHIII", 1, len(sought), name("libc.so.6"), 16, 0) + b"".join(sought)
    interpreter_at = name(interpreter)

    start = 64 + 3 * 56
    verneed_at = start + len(strings)
    verdef_at = verneed_at + len(verneed)
    dynamic_at = verdef_at + sum(map(len, given))
    tags += [(5, start)]
    tags += [(0x6FFFFFFE, verneed_at)] if sought else []
    tags += [(0x6FFFFFFC, verdef_at)] if given else []
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in [*tags, (0, 0)])
    total = dynamic_at + len(dynamic)
    segments = [(1, 0, total), (2, dynamic_at, len(dynamic))]
    if interpreter:
        segments.append((3, start + interpreter_at, len(interpreter) + 1))
    header = struct.pack(
        "<4sBBB9xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 3, _MACHINES[machine], 1, 0, 64, 0, 0),
        *(64, 56, len(segments), 0, 0, 0),
    )
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, offset, offset, offset, size, size, 8)
        for kind, offset, size in segments
    )
    return (
        (header + table).ljust(start, b"\0") + bytes(strings) + verneed + b"".join(given) + dynamic
    )
