"""Mach-O and PE files are told by their first bytes, whatever they are called."""

from __future__ import annotations

import struct

import pytest

from builders.formats.binary import Binary, identify

ARM64, AMD64 = 0x0100000C, 0x01000007


def universal(*cpus: int, magic: int = 0xCAFEBABE, size: int = 20) -> bytes:
    records = b"".join(struct.pack(">I", cpu).ljust(size, b"\0") for cpu in cpus)
    return struct.pack(">II", magic, len(cpus)) + records


def pe(machine: int) -> bytes:
    return (
        b"MZ".ljust(0x3C, b"\0")
        + struct.pack("<I", 0x80)
        + bytes(0x40)
        + b"PE\0\0"
        + (struct.pack("<H", machine))
    )


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (struct.pack("<II", 0xFEEDFACF, ARM64), ("mach-o", ("arm64",))),
        (struct.pack(">II", 0xFEEDFACE, 18), ("mach-o", ("ppc",))),
        (struct.pack("<II", 0xFEEDFACF, 99), ("mach-o", ("mach-o-99",))),
        (universal(AMD64, ARM64), ("mach-o", ("amd64", "arm64"))),
        (universal(ARM64, magic=0xCAFEBABF, size=32), ("mach-o", ("arm64",))),
        (pe(0x8664), ("pe", ("amd64",))),
        (pe(0xAA64), ("pe", ("arm64",))),
        (pe(0x1234), ("pe", ("pe-4660",))),
    ],
)
def test_foreign_machine_code(head: bytes, expected: tuple[str, tuple[str, ...]]) -> None:
    found = identify(head)
    assert found is not None
    assert (found.format, found.machines) == expected


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xca\xfe",
        b"\x7fELF\x02\x01\x01",
        struct.pack(">IHH", 0xCAFEBABE, 0, 65),  # a Java class, version 65
        b"MZ is how this text begins",
        b"MZ".ljust(64, b"\xff"),
    ],
)
def test_anything_else(head: bytes) -> None:
    assert identify(head) is None


def test_binaries_are_values() -> None:
    assert identify(pe(0x8664)) == Binary(format="pe", machines=("amd64",))
