"""The lock of a backend's wheels: which files exactly, and what they were found to hold.

- `images/<backend>/locks/<os>-<arch>.txt`: hashed requirements, valid input for pip and uv
- `images/<backend>/locks/wheels.json`: by sha256, the file, its size and its contents

A project for which the backend has a recipe (`images/<backend>/wheels/<project>`) is locked as its
source archive, also should an index have a wheel of it one day: a recipe is a decision. In place of
its contents stands which wheels of that version there were for Python 3.11, on any platform.

Where a file is found is configuration: no lock names an index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from packaging.utils import InvalidSdistFilename, parse_sdist_filename
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from builders.errors import ArchiveError, LockError
from builders.files import digest_of
from builders.formats import wheel as wheel_file
from builders.formats.wheel import Contents
from builders.lock.lock_file import REMEDY, parse_json, read_text

CONTENTS = "wheels.json"

SOURCE_ENDING = ".tar.gz"
"""Of the archives that wheels can be built from here."""

_HEADER = "# The wheels for {platform}, chosen by `nox -s lock` from ../requirements.in.\n"
_NO_SOLUTION = "# no solution: "
_REQUIREMENT = re.compile(
    r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>\S+) --hash=sha256:(?P<sha256>[0-9a-f]{64})"
)
_WheelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl$")]
_SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\.tar\.gz$")]


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """One locked wheel.

    Attributes:
        name: The project's normalised name.
        version: Its version.
        sha256: Of the file, in hexadecimal.
        file: The file's name.
        size: Of the file, in bytes.
        contents: What was found inside.
    """

    name: str
    version: str
    sha256: str
    file: str
    size: int
    contents: Contents


@dataclass(frozen=True, kw_only=True)
class Source:
    """One locked source archive: what a wheel is built from.

    Attributes:
        name: The project's normalised name.
        version: Its version.
        sha256: Of the file, in hexadecimal.
        file: The file's name, which ends in `.tar.gz`.
        size: Of the file, in bytes.
        wheels: The file names of the wheels of this version that the indexes had for Python 3.11
            when it was locked, whatever their platform.
    """

    name: str
    version: str
    sha256: str
    file: str
    size: int
    wheels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class WheelLock:
    """The wheels of a backend for a platform, and the source archives of those to be built.

    Attributes:
        path: The hashed requirements file.
        platform: Such as `linux/arm64`.
        wheels: By name; none if there is no solution.
        sources: By name.
        no_solution: Why no set of wheels exists, in the resolver's words; else empty.
    """

    path: Path
    platform: str
    wheels: tuple[Wheel, ...]
    sources: tuple[Source, ...] = ()
    no_solution: str = ""

    @property
    def digest(self) -> str:
        """`sha256:…` of which files are locked, whatever the lock's formatting."""
        return digest_of([[locked.file, locked.sha256] for locked in self.locked])

    @property
    def locked(self) -> tuple[Wheel | Source, ...]:
        """All that is locked: wheels, then source archives."""
        return (*self.wheels, *self.sources)

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of each wheel, by its file name."""
        return {wheel.file: wheel.sha256 for wheel in self.wheels}

    @property
    def source_files(self) -> dict[str, str]:
        """The sha256 of each source archive, by its file name."""
        return {source.file: source.sha256 for source in self.sources}


class _WheelEntry(BaseModel):
    """What wheels.json says of a wheel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: _WheelName
    size: int = Field(gt=0, strict=True)
    contents: Contents


class _SourceEntry(BaseModel):
    """What wheels.json says of a source archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: _SourceName
    size: int = Field(gt=0, strict=True)
    wheels: tuple[_WheelName, ...]


_Entry = _WheelEntry | _SourceEntry
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Entries: TypeAdapter[dict[_Sha256, _Entry]] = TypeAdapter(dict[_Sha256, _Entry])


def lock_path(backend: Path, platform: str) -> Path:
    """Return where a backend's lock for a platform is, given the backend's folder."""
    return backend / "locks" / f"{platform.replace('/', '-')}.txt"


def read(backend: Path, platform: str) -> WheelLock:
    """Read a backend's lock for a platform.

    Raises:
        LockError: It is missing, malformed, or contradicts itself.
    """
    path = lock_path(backend, platform)
    text = read_text(path, f"{backend.name} has no lock for {platform}")
    if _NO_SOLUTION in text:
        reason = text.partition(_NO_SOLUTION)[2].partition("\n")[0]
        return WheelLock(path=path, platform=platform, wheels=(), no_solution=reason)
    entries = read_entries(path.with_name(CONTENTS))
    locked: list[Wheel | Source] = []
    for where, name, version, sha256 in _requirements(text, path):
        if any(name == other.name for other in locked):
            raise LockError(f"{name} is locked twice", where=where, remedy=REMEDY)
        if any(sha256 == other.sha256 for other in locked):
            raise LockError(f"the file of {name} is locked twice", where=where, remedy=REMEDY)
        if sha256 not in entries:
            raise LockError(f"{CONTENTS} does not have {name}", where=where, remedy=REMEDY)
        entry = entries[sha256]
        if distribution(entry.file) != (name, version):
            raise LockError(
                f"{name} {version} is locked, but the file is {entry.file}",
                where=where,
                remedy=REMEDY,
            )
        locked.append(_locked(name, version, sha256, entry))
    return WheelLock(
        path=path,
        platform=platform,
        wheels=tuple(one for one in locked if isinstance(one, Wheel)),
        sources=tuple(one for one in locked if isinstance(one, Source)),
    )


def read_entries(path: Path) -> Mapping[str, _Entry]:
    """Read wheels.json.

    Raises:
        LockError: It is missing, malformed, or names a file twice.
    """
    text = read_text(path, "what the wheels hold is not recorded")
    try:
        entries = _Entries.validate_python(parse_json(text, path))
    except ValidationError as error:
        raise LockError(f"malformed: {error}", where=str(path), remedy=REMEDY) from error
    files = [entry.file for entry in entries.values()]
    for file in files:
        # One version of a project may have two files of one name, at two indexes: not in a lock.
        if files.count(file) > 1:
            raise LockError(f"{file} is there twice", where=str(path), remedy=REMEDY)
    return entries


def distribution(file: str) -> tuple[str, str]:
    """Return the normalised project name and version of a wheel or source archive, by its name.

    Raises:
        LockError: It is neither's.
    """
    try:
        if not file.endswith(SOURCE_ENDING):
            return wheel_file.distribution(file)
        name, version = parse_sdist_filename(file)
    except ArchiveError as error:
        raise LockError(error.problem, where=CONTENTS, remedy=REMEDY) from error
    except InvalidSdistFilename as error:
        raise LockError(str(error), where=CONTENTS, remedy=REMEDY) from error
    return name, str(version)


def format_requirements(lock: WheelLock) -> str:
    """Return a lock as hashed requirements."""
    header = _HEADER.format(platform=lock.platform)
    if lock.no_solution:
        return f"{header}{_NO_SOLUTION}{lock.no_solution}\n"
    return header + "".join(
        f"{one.name}=={one.version} \\\n    --hash=sha256:{one.sha256}\n"
        for one in sorted(lock.locked, key=lambda one: one.name)
    )


def format_contents(locks: Iterable[WheelLock]) -> str:
    """Return what all files of a backend's locks are and hold, by file name."""
    locked = {one.sha256: one for lock in locks for one in lock.locked}
    entries = {
        one.sha256: _entry(one).model_dump(mode="json")
        for one in sorted(locked.values(), key=lambda one: one.file)
    }
    return json.dumps(entries, indent=2) + "\n"


def _entry(locked: Wheel | Source) -> _Entry:
    if isinstance(locked, Wheel):
        return _WheelEntry(file=locked.file, size=locked.size, contents=locked.contents)
    return _SourceEntry(file=locked.file, size=locked.size, wheels=locked.wheels)


def _locked(name: str, version: str, sha256: str, entry: _Entry) -> Wheel | Source:
    if isinstance(entry, _WheelEntry):
        return Wheel(
            name=name,
            version=version,
            sha256=sha256,
            file=entry.file,
            size=entry.size,
            contents=entry.contents,
        )
    return Source(
        name=name,
        version=version,
        sha256=sha256,
        file=entry.file,
        size=entry.size,
        wheels=entry.wheels,
    )


def _requirements(text: str, path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield the place, name, version and sha256 of every requirement."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        whole = line
        while whole.endswith("\\"):
            whole = whole.removesuffix("\\") + next(lines, (0, ""))[1]
        match = _REQUIREMENT.fullmatch(" ".join(whole.split()))
        if match is None:
            raise LockError(
                f"not a requirement with one sha256: {line}",
                where=f"{path}:{number}",
                remedy=REMEDY,
            )
        yield f"{path}:{number}", match["name"], match["version"], match["sha256"]
