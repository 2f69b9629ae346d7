"""Audit of a wheel that was built here, before anything is made with it.

A compilation that succeeded proves little: it may have left a library out, tuned the code to the
machine that compiled it, or written that machine's paths into it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from packaging.utils import parse_wheel_filename

from builders.check import Check, from_findings
from builders.errors import ArchiveError, BuildError
from builders.formats import binary, elf
from builders.formats.elf import Elf
from builders.lock import wheel_tags
from builders.wheelhouse.recipe import Document

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}

BASELINES = {"linux/amd64": "x86-64", "linux/arm64": "armv8-a"}
"""gcc's names of the oldest processors: what `build_wheel.py` compiles everything for."""

SYSTEM = frozenset(
    {
        *("libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1"),
        *("libstdc++.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),
    }
)
"""What every image has (images/base): a wheel may need it without holding it."""

STAGE_PATHS = ("/build/", "/tmp/")  # noqa: S108 (searched for, not used)
"""Where the wheel stage works: in no wheel either."""

RECORD = re.compile(rb"GNU (?:C|C\+\+)\d+ [\d.]+ (?P<flags>[\x20-\x7e]+)")
"""How `-frecord-gcc-switches` leaves the flags of each compiled file in a library."""

_TUNED = re.compile(r"-m(?:arch|cpu|tune)=native|--param=l[12]-cache|-mcpu=|-mtune=(?!generic)")
_ARCHITECTURE = re.compile(r"-march=(\S+)")
_EXTENSION = re.compile(
    r"-m(?:adx|aes|amx|avx|bmi|f16c|fma|gfni|lzcnt|movbe|pclmul|popcnt|sha|sse3|sse4|ssse3|vaes"
    r"|vpclmul)\S*"
)


@dataclass(frozen=True, kw_only=True)
class _Library:
    content: bytes
    program: Elf

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(match["flags"].decode() for match in RECORD.finditer(self.content))


def refuse_unfit(
    wheel: Path, promised: Document, *, platform: str, builder_paths: Sequence[str]
) -> None:
    """Audit a wheel.

    Args:
        wheel: The file.
        promised: What its recipe says of it.
        platform: What it is for.
        builder_paths: Directories of this machine that nothing in it may name.

    Raises:
        BuildError: A check does not pass; the message lists what was found.
    """
    checks = audit(wheel, promised, platform=platform, builder_paths=builder_paths)
    found = [f"{c.name}: {detail}" for c in checks if not c.passed for detail in c.details]
    if found:
        listed = "\n  ".join(found)
        raise BuildError(
            f"the built wheel is not fit for use:\n  {listed}",
            where=wheel.name,
            remedy="correct its recipe (images/<backend>/wheels), or the stage (images/toolchain)",
        )


def audit(
    wheel: Path, promised: Document, *, platform: str, builder_paths: Sequence[str]
) -> tuple[Check, ...]:
    """Return every check of a wheel, passed or not.

    Raises:
        ArchiveError: It is no archive.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = {
                info.filename: archive.read(info)
                for info in archive.infolist()
                if not info.is_dir()
            }
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"not a readable wheel: {error}", where=wheel.name) from error
    libraries, unreadable = _libraries(members)
    return (
        _tag(wheel.name, platform, libraries),
        _machines(members, libraries, unreadable, platform),
        _promised(libraries, promised),
        _needed(libraries),
        _search_paths(libraries),
        _paths(members, libraries, builder_paths),
        _flags(libraries, promised, platform),
    )


def promised_libraries(wheel: Path, promised: Document) -> tuple[str, ...]:
    """Return the files of a wheel that its recipe promises as shared libraries."""
    with zipfile.ZipFile(wheel) as archive:
        return tuple(
            name
            for name in sorted(archive.namelist())
            if any(fnmatchcase(name, pattern) for pattern in promised.libraries)
        )


def _libraries(members: Mapping[str, bytes]) -> tuple[dict[str, _Library], dict[str, str]]:
    """Return the ELF files by name, and what is wrong with those that cannot be read."""
    found: dict[str, _Library] = {}
    unreadable: dict[str, str] = {}
    for name, content in members.items():
        try:
            program = elf.read(io.BytesIO(content))
        except ArchiveError as error:
            unreadable[name] = error.problem
            continue
        if program is not None:
            found[name] = _Library(content=content, program=program)
    return found, unreadable


def _tag(name: str, platform: str, libraries: Mapping[str, _Library]) -> Check:
    """Check that the wheel is named for the platform, and for a C library it can run with."""
    tags = {tag.platform for tag in parse_wheel_filename(name)[3]}
    machine = MACHINES[platform]
    found = [re.fullmatch(rf"manylinux_2_(\d+)_{machine}", tag) for tag in tags]
    minors = [int(match[1]) for match in found if match]
    needed = elf.newest(
        (version for library in libraries.values() for version in library.program.versions_needed),
        "GLIBC",
    )
    findings = []
    if not minors or len(minors) != len(found):
        findings.append(f"its tags are {', '.join(sorted(tags))}: none but manylinux_2_*_{machine}")
    elif needed is not None and elf.version_key(needed) > (2, min(minors)):
        findings.append(f"a symbol needs GLIBC_{needed}, its tag promises 2.{min(minors)}")
    elif max(minors) > wheel_tags.GLIBC_MINOR:
        findings.append(f"it needs glibc 2.{max(minors)}, images have 2.{wheel_tags.GLIBC_MINOR}")
    return from_findings("wheel-tag", findings, figure=needed)


def _machines(
    members: Mapping[str, bytes],
    libraries: Mapping[str, _Library],
    unreadable: Mapping[str, str],
    platform: str,
) -> Check:
    """Check that all machine code is the platform's."""
    machine = platform.rpartition("/")[2]
    findings = [f"{name}: {problem}" for name, problem in unreadable.items()]
    findings += [
        f"{name} is for {library.program.machine}, not {machine}"
        for name, library in libraries.items()
        if library.program.machine != machine
    ]
    findings += [
        f"{name} is {found.format}"
        for name, content in members.items()
        if name not in libraries and (found := binary.identify(content[: binary.HEAD]))
    ]
    return from_findings("wheel-machine", findings, figure=len(libraries))


def _promised(libraries: Mapping[str, _Library], promised: Document) -> Check:
    """Check that the libraries that the recipe promises are there, and no other."""
    findings = [
        f"{pattern} is missing"
        for pattern in promised.libraries
        if not any(fnmatchcase(name, pattern) for name in libraries)
    ]
    findings += [
        f"{name} is there, and the recipe does not name it"
        for name in libraries
        if not any(fnmatchcase(name, pattern) for pattern in promised.libraries)
    ]
    return from_findings("wheel-libraries", findings, figure=len(libraries))


def _needed(libraries: Mapping[str, _Library]) -> Check:
    """Check that each library that another needs is beside it, or in every image."""
    present = {PurePosixPath(name).name for name in libraries}
    findings = (
        f"{name} needs {needed}"
        for name, library in libraries.items()
        for needed in library.program.needed
        if needed not in present | SYSTEM
    )
    return from_findings("wheel-needed", findings)


def _search_paths(libraries: Mapping[str, _Library]) -> Check:
    """Check that libraries are only looked for beside the one that needs them."""
    findings = (
        f"{name} looks for libraries in {path or 'the working directory'}"
        for name, library in libraries.items()
        for path in (*library.program.rpath, *library.program.runpath)
        if not path.startswith("$ORIGIN") or ".." in path
    )
    return from_findings("wheel-search-paths", findings)


def _paths(
    members: Mapping[str, bytes], libraries: Mapping[str, _Library], places: Sequence[str]
) -> Check:
    """Check that nothing names a directory of the machine that built it, no library the stage's.

    (A text may speak of /tmp.)
    """
    findings = (
        f"{name} names {place}"
        for name, content in members.items()
        for place in (*places, *(STAGE_PATHS if name in libraries else ()))
        if place.encode() in content
    )
    return from_findings("wheel-paths", findings)


def _flags(libraries: Mapping[str, _Library], promised: Document, platform: str) -> Check:
    """Check by the recorded flags that nothing was tuned to the machine that compiled it.

    Debian compiles what it ships for the oldest processor, and records no flags.
    """
    findings = [
        finding
        for name, library in libraries.items()
        if not any(fnmatchcase(name, pattern) for pattern in promised.vendored)
        for finding in _misled(
            name,
            library.flags,
            platform,
            dispatched=any(fnmatchcase(name, pattern) for pattern in promised.dispatched),
        )
    ]
    return from_findings("wheel-flags", findings)


def _misled(
    name: str, recorded: Sequence[str], platform: str, *, dispatched: bool
) -> Iterator[str]:
    """Yield what is wrong with the flags of a library's files, each finding once."""
    if not recorded:
        yield f"{name} does not record its flags"
    baseline = BASELINES[platform]
    found: dict[str, None] = {}
    for flags in recorded:
        if tuned := _TUNED.search(flags):
            found[f"{name} was compiled with {tuned[0]}, for the machine that compiled it"] = None
        if dispatched:
            continue
        # The last one counts.
        architecture = ([None, *_ARCHITECTURE.findall(flags)])[-1]
        if architecture != baseline:
            found[f"{name} was compiled for {architecture}, not {baseline}"] = None
        for extension in _EXTENSION.findall(flags):
            found[f"{name} was compiled with {extension}, which old processors lack"] = None
    yield from found
