"""The lock of a backend's wheels: which files exactly, and what they were found to hold.

- `images/<backend>/locks/<os>-<arch>.txt`: hashed requirements, valid input for pip and uv
- `images/<backend>/locks/wheels.json`: by sha256, the file, its size and its contents

Where a file is found is configuration: no lock names an index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from builders.errors import ArchiveError, LockError
from builders.files import digest_of
from builders.formats.wheel import Contents, distribution
from builders.lock.lock_file import REMEDY, parse_json, read_text

CONTENTS = "wheels.json"

_HEADER = "# The wheels for {platform}, chosen by `nox -s lock` from ../requirements.in.\n"
_NO_SOLUTION = "# no solution: "
_REQUIREMENT = re.compile(
    r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>\S+) --hash=sha256:(?P<sha256>[0-9a-f]{64})"
)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")


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
class WheelLock:
    """The wheels of a backend for a platform.

    Attributes:
        path: The hashed requirements file.
        platform: Such as `linux/arm64`.
        wheels: By name; none if there is no solution.
        no_solution: Why no set of wheels exists, in the resolver's words; else empty.
    """

    path: Path
    platform: str
    wheels: tuple[Wheel, ...]
    no_solution: str = ""

    @property
    def digest(self) -> str:
        """`sha256:…` of which files are locked, whatever the lock's formatting."""
        return digest_of([[wheel.file, wheel.sha256] for wheel in self.wheels])

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of each wheel, by its file name."""
        return {wheel.file: wheel.sha256 for wheel in self.wheels}


class _Entry(BaseModel):
    """What wheels.json says of a wheel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[str, StringConstraints(pattern=f"^{_FILE_NAME.pattern}$")]
    size: int = Field(gt=0, strict=True)
    contents: Contents


_Entries = TypeAdapter(dict[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")], _Entry])


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
    wheels: list[Wheel] = []
    for where, name, version, sha256 in _requirements(text, path):
        if any(name == wheel.name for wheel in wheels):
            raise LockError(f"{name} is locked twice", where=where, remedy=REMEDY)
        if any(sha256 == wheel.sha256 for wheel in wheels):
            raise LockError(f"the file of {name} is locked twice", where=where, remedy=REMEDY)
        if sha256 not in entries:
            raise LockError(f"{CONTENTS} does not have {name}", where=where, remedy=REMEDY)
        entry = entries[sha256]
        if _distribution(entry.file) != (name, version):
            raise LockError(
                f"{name} {version} is locked, but the file is {entry.file}",
                where=where,
                remedy=REMEDY,
            )
        wheels.append(
            Wheel(
                name=name,
                version=version,
                sha256=sha256,
                file=entry.file,
                size=entry.size,
                contents=entry.contents,
            )
        )
    return WheelLock(path=path, platform=platform, wheels=tuple(wheels))


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


def format_requirements(lock: WheelLock) -> str:
    """Return a lock as hashed requirements."""
    header = _HEADER.format(platform=lock.platform)
    if lock.no_solution:
        return f"{header}{_NO_SOLUTION}{lock.no_solution}\n"
    return header + "".join(
        f"{wheel.name}=={wheel.version} \\\n    --hash=sha256:{wheel.sha256}\n"
        for wheel in sorted(lock.wheels, key=lambda wheel: wheel.name)
    )


def format_contents(locks: Iterable[WheelLock]) -> str:
    """Return what all wheels of a backend's locks hold, by file name."""
    wheels = {wheel.sha256: wheel for lock in locks for wheel in lock.wheels}
    entries = {
        wheel.sha256: {
            "file": wheel.file,
            "size": wheel.size,
            "contents": wheel.contents.model_dump(mode="json"),
        }
        for wheel in sorted(wheels.values(), key=lambda wheel: wheel.file)
    }
    return json.dumps(entries, indent=2) + "\n"


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


def _distribution(file: str) -> tuple[str, str]:
    try:
        return distribution(file)
    except ArchiveError as error:
        raise LockError(error.problem, where=CONTENTS, remedy=REMEDY) from error
