"""Machine code of systems other than Linux, told from a file's first bytes: Mach-O and PE."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

HEAD = 4096
"""How many of a file's first bytes are looked at."""

_MACH_O_CPUS = {7: "386", 0x01000007: "amd64", 12: "arm", 0x0100000C: "arm64", 18: "ppc"}
_PE_MACHINES = {0x014C: "386", 0x8664: "amd64", 0x01C4: "arm", 0xAA64: "arm64"}
_PE_OFFSET_AT = 0x3C
_MACH_O_MAGICS = (0xFEEDFACE, 0xFEEDFACF)
_MOST_ARCHITECTURES = 20
"""Of a universal Mach-O file. A Java class begins alike, but there follows a version from 45 up."""


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A file of machine code.

    Attributes:
        format: What kind of file it is.
        machines: For which it is: several for a universal Mach-O file. Names are those of
            platforms (`amd64`, `arm64`), or `<format>-<number>` for one that no platform has.
    """

    format: Literal["mach-o", "pe"]
    machines: tuple[str, ...]


def identify(head: bytes) -> Binary | None:
    """Tell from a file's first bytes (`HEAD` of them) whether it is a Mach-O or PE file."""
    return _mach_o(head) or _universal_mach_o(head) or _pe(head)


def _mach_o(head: bytes) -> Binary | None:
    """Read a `mach_header`: a magic number in the file's own byte order, then the CPU."""
    for layout in ("<II", ">II"):
        magic, cpu = _unpack(layout, head, 0)
        if magic in _MACH_O_MAGICS:
            return Binary(format="mach-o", machines=(_mach_o_machine(cpu),))
    return None


def _universal_mach_o(head: bytes) -> Binary | None:
    """Read a `fat_header` and its `fat_arch` (or `fat_arch_64`) records: always big-endian."""
    magic, count = _unpack(">II", head, 0)
    size = {0xCAFEBABE: 20, 0xCAFEBABF: 32}.get(magic)
    if size is None or count > _MOST_ARCHITECTURES:
        return None
    cpus = (_unpack(">I", head, 8 + index * size)[0] for index in range(count))
    return Binary(format="mach-o", machines=tuple(map(_mach_o_machine, cpus)))


def _mach_o_machine(cpu: int) -> str:
    return _MACH_O_CPUS.get(cpu, f"mach-o-{cpu}")


def _pe(head: bytes) -> Binary | None:
    """Read where an MZ file says that its PE header is."""
    if not head.startswith(b"MZ"):
        return None
    (offset,) = _unpack("<I", head, _PE_OFFSET_AT)
    signature, number = _unpack("<IH", head, offset)
    if signature != int.from_bytes(b"PE\0\0", "little"):
        return None
    return Binary(format="pe", machines=(_PE_MACHINES.get(number, f"pe-{number}"),))


def _unpack(layout: str, head: bytes, offset: int) -> tuple[int, ...]:
    """Unpack numbers; beyond the end there are zeros."""
    size = struct.calcsize(layout)
    return struct.unpack(layout, head[offset : offset + size].ljust(size, b"\0"))
