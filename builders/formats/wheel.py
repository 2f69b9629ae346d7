"""What a wheel holds, found by opening it: a label such as `any` or `manylinux` proves nothing.

https://packaging.python.org/specifications/binary-distribution-format/
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from pydantic import BaseModel, ConfigDict

from builders.errors import ArchiveError
from builders.formats import binary, elf

MOST_BYTES = 8 << 30
"""Of all members together, unpacked: more is a bomb. (The largest wheels of all hold 4 GB.)"""

_IN_MEMORY = 32 << 20


class Contents(BaseModel):
    """What a wheel holds.

    Attributes:
        binaries: The kinds of machine code in it, such as `elf amd64`; none in a pure wheel.
        glibc: The newest version of the C library that a symbol is asked for of, such as `2.34`.
        glibcxx: Likewise of the C++ library, such as `3.4.30`.
        names: The importable names that no other name of the wheel contains.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    binaries: tuple[str, ...]
    glibc: str | None
    glibcxx: str | None
    names: tuple[str, ...]


def inspect(wheel: Path, *, name: str | None = None, leave_out: Sequence[str] = ()) -> Contents:
    """Open a wheel and tell what it holds; nothing is unpacked to a place of its choice.

    Args:
        wheel: The file.
        name: What errors call it; its file name if None.
        leave_out: Glob patterns of paths below the site directory, where `*` also matches `/`:
            what no image will hold (setuptools has launchers for Windows) does not count.

    Raises:
        ArchiveError: It is no archive, or holds something hostile.
    """
    name = name or wheel.name
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in _members(archive) if not _is_left_out(m.filename, leave_out)]
            binaries: set[str] = set()
            versions: set[str] = set()
            for member in members:
                kinds, needed = _machine_code(archive, member)
                binaries |= kinds
                versions |= needed
            return Contents(
                binaries=tuple(sorted(binaries)),
                glibc=elf.newest(versions, "GLIBC"),
                glibcxx=elf.newest(versions, "GLIBCXX"),
                names=importable_names(member.filename for member in members),
            )
    except ArchiveError as error:
        raise ArchiveError(error.problem, where=name, remedy=error.remedy) from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise ArchiveError(
            f"not a readable wheel: {error}", where=name, remedy="take another version of it"
        ) from error


def distribution(file: str) -> tuple[str, str]:
    """Return a wheel's normalised project name and version, as its file name has them.

    Raises:
        ArchiveError: It is not the file name of a wheel.
    """
    try:
        name, version, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise ArchiveError(str(error), where=file, remedy="correct its name") from error
    return name, str(version)


def importable_names(members: Iterable[str]) -> tuple[str, ...]:
    """Return the names that can be imported of a wheel's files.

    These are the modules in its root and the outermost packages, also those in a directory without
    `__init__.py` (`google.protobuf`). Names with a leading underscore are left out.
    """
    modules: set[str] = set()
    packages: set[PurePosixPath] = set()
    for path in filter(None, map(_contents, members)):
        stem, _, ending = path.name.partition(".")
        if ending != "py" and not (ending == "so" or ending.endswith((".so", ".pyd"))):
            continue
        if stem == "__init__":
            packages.add(path.parent)
        elif len(path.parts) == 1:
            modules.add(stem)
    packages.discard(PurePosixPath())  # a stray __init__.py in the root
    outermost = {
        ".".join(package.parts)
        for package in packages
        if not packages.intersection(package.parents)
    }
    return tuple(sorted(filter(_is_public, modules | outermost)))


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of a wheel, refusing what would lead out of its place or fill the disk."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    seen: set[str] = set()
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
            raise _refused(f"{member.filename} leads out of its place")
        if member.filename in seen:
            raise _refused(f"{member.filename} is there twice")
        seen.add(member.filename)
    if sum(member.file_size for member in members) > MOST_BYTES:
        largest = max(members, key=lambda member: member.file_size)
        raise _refused(
            f"it unpacks to more than {MOST_BYTES} bytes; the most is in {largest.filename}"
        )
    return members


def _is_left_out(member: str, patterns: Sequence[str]) -> bool:
    path = _contents(member)
    return path is not None and any(fnmatchcase(path.as_posix(), glob) for glob in patterns)


def _machine_code(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[set[str], set[str]]:
    """Return which machine code a member is, and which symbol versions it asks for."""
    with archive.open(member) as file:
        head = file.read(binary.HEAD)
        if found := binary.identify(head):
            return {f"{found.format} {machine}" for machine in found.machines}, set()
        if not elf.is_elf(head):
            return set(), set()
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as whole:
            whole.write(head)
            shutil.copyfileobj(file, whole)
            try:
                program = elf.read(cast("BinaryIO", whole))
            except ArchiveError as error:
                raise _refused(f"{member.filename}: {error.problem}") from error
    if program is None:  # the first bytes said otherwise
        return set(), set()
    return {f"elf {program.machine}"}, set(program.versions_needed)


def _contents(member: str) -> PurePosixPath | None:
    """Return where a member goes below the site directory; None if elsewhere, or no contents."""
    path = PurePosixPath(member)
    return None if path.parts[0].endswith(".dist-info") else installed(path)


def installed(path: PurePosixPath) -> PurePosixPath | None:
    """Return where a member of a wheel goes below the site directory; None if elsewhere."""
    top = path.parts[0]
    if not top.endswith(".data"):
        return path
    scheme, *rest = path.parts[1:]
    return PurePosixPath(*rest) if scheme in ("purelib", "platlib") and rest else None


def _is_public(name: str) -> bool:
    return all(part.isidentifier() and not part.startswith("_") for part in name.split("."))


def _refused(problem: str) -> ArchiveError:
    return ArchiveError(problem, remedy="do not use this wheel")
