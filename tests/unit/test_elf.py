"""The ELF reader against readelf-like facts of real files, and against broken ones."""

from __future__ import annotations

import io
import struct
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

from builders.errors import ArchiveError
from builders.formats import elf
from builders.formats.elf import Elf
from tests.unit.elf_samples import elf_file

HEADER = struct.Struct("<4sBBB9xHHIQQQIHHHHHH")


def program(*, machine: int = 62, bits: int = 2, order: int = 1) -> bytes:
    """Return the smallest ELF file: a header without segments."""
    return HEADER.pack(elf.MAGIC, bits, order, 1, 3, machine, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)


def extension_modules() -> list[Path]:
    """Real shared libraries that every development environment has."""
    folders = [
        Path(location)
        for name in ("numpy", "onnxruntime", "pydantic_core")
        if (spec := find_spec(name)) is not None
        for location in spec.submodule_search_locations or ()
    ]
    return [path for folder in folders for path in sorted(folder.rglob("*.so*"))]


@pytest.mark.skipif(sys.platform != "linux", reason="this host's libraries are not ELF files")
def test_agrees_with_pyelftools_on_real_libraries() -> None:
    paths = extension_modules()
    assert len(paths) > 5
    for path in paths:
        with path.open("rb") as file:
            assert elf.read(file) == by_pyelftools(path), path


def by_pyelftools(path: Path) -> Elf:
    with path.open("rb") as file:
        reader = ELFFile(file)
        dynamic: Any = reader.get_section_by_name(".dynamic")
        needed: set[str] = set()
        defined: set[str] = set()
        for section in reader.iter_sections():
            if isinstance(section, GNUVerNeedSection):
                needed |= {aux.name for _, names in section.iter_versions() for aux in names}
            if isinstance(section, GNUVerDefSection):
                for version, names in section.iter_versions():
                    if not version.entry.vd_flags & 1:
                        defined.add(next(iter(names)).name)
        tags = list(dynamic.iter_tags())
        return Elf(
            machine={"EM_X86_64": "amd64", "EM_AARCH64": "arm64"}[reader["e_machine"]],
            interpreter=None,
            soname=next((t.soname for t in tags if t.entry.d_tag == "DT_SONAME"), None),
            needed=tuple(t.needed for t in tags if t.entry.d_tag == "DT_NEEDED"),
            rpath=tuple(p for t in tags if t.entry.d_tag == "DT_RPATH" for p in t.rpath.split(":")),
            runpath=tuple(
                p for t in tags if t.entry.d_tag == "DT_RUNPATH" for p in t.runpath.split(":")
            ),
            versions_needed=tuple(sorted(needed)),
            versions_defined=tuple(sorted(defined)),
        )


@pytest.mark.skipif(sys.platform != "linux", reason="this host's programs are not ELF files")
def test_reads_the_interpreter_of_a_program() -> None:
    with Path("/bin/true").open("rb") as file:
        found = elf.read(file)
    assert found is not None
    assert found.interpreter is not None
    assert "ld-linux" in found.interpreter


@pytest.mark.parametrize(
    ("number", "name"), [(62, "amd64"), (183, "arm64"), (40, "arm"), (243, "elf-243")]
)
def test_names_the_machine_as_platforms_do(number: int, name: str) -> None:
    assert elf.read(io.BytesIO(program(machine=number))) == Elf(machine=name)


def test_reads_only_the_machine_of_a_32_bit_file() -> None:
    assert elf.read(io.BytesIO(program(machine=3, bits=1))) == Elf(machine="386")


def test_reads_everything_without_section_headers() -> None:
    content = elf_file(
        machine="arm64",
        interpreter="/lib/ld-linux-aarch64.so.1",
        needed=["libc.so.6", "libm.so.6"],
        rpath="$ORIGIN/../x.libs:/opt/lib",
        runpath="$ORIGIN",
        asks_for=["GLIBC_2.34", "GLIBC_2.17"],
        defines=["X_1", "X_2"],
    )
    assert elf.read(io.BytesIO(content)) == Elf(
        machine="arm64",
        interpreter="/lib/ld-linux-aarch64.so.1",
        needed=("libc.so.6", "libm.so.6"),
        rpath=("$ORIGIN/../x.libs", "/opt/lib"),
        runpath=("$ORIGIN",),
        versions_needed=("GLIBC_2.17", "GLIBC_2.34"),
        versions_defined=("X_1", "X_2"),
    )


def test_anything_else_is_no_elf_file() -> None:
    assert elf.read(io.BytesIO(b"#!/bin/sh\n")) is None
    assert elf.read(io.BytesIO(b"")) is None
    assert not elf.is_elf(b"MZ\x90\0")
    assert elf.is_elf(program())


def test_a_truncated_file_is_an_error() -> None:
    with pytest.raises(ArchiveError, match="malformed ELF"):
        elf.read(io.BytesIO(program()[:20]))


def test_a_table_outside_the_file_is_an_error() -> None:
    segment = struct.pack("<IIQQQQQQ", 2, 4, 120, 120, 120, 16, 16, 8)
    dynamic = struct.pack("<qQ", 14, 1)  # a SONAME, but no string table
    header = bytearray(program())
    header[32:40] = struct.pack("<Q", 64)
    header[54:58] = struct.pack("<HH", 56, 1)
    with pytest.raises(ArchiveError, match="no loaded segment"):
        elf.read(io.BytesIO(bytes(header) + segment + dynamic))


def test_newest_compares_numbers_not_text() -> None:
    versions = ["GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.17", "GLIBCXX_3.4.30", "GLIBC_PRIVATE"]
    assert elf.newest(versions, "GLIBC") == "2.34"
    assert elf.newest(versions, "GLIBCXX") == "3.4.30"
    assert elf.newest(versions, "CXXABI") is None
