"""The lock of the Debian packages that a root file system is unpacked from.

`images/{base,toolchain}/locks/<os>-<arch>.json`: the packages, those that only tests use, and the
newest symbol versions that the C and C++ libraries among them define: what wheels may ask for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from builders import list_file
from builders.errors import LockError
from builders.files import digest_of
from builders.lock.lock_file import REMEDY, parse_json, read_text
from builders.network.apt import DebianPackage

SUITE = "bookworm"
"""Its Python (3.11) and C library (2.36) are those that wheels are resolved for."""

ROOT_LIST = "packages.txt"
TEST_LIST = "test-packages.txt"


@dataclass(frozen=True, kw_only=True)
class Libraries:
    """The newest symbol versions that the root file system's libraries define, such as `2.36`."""

    glibc: str
    glibcxx: str


@dataclass(frozen=True, kw_only=True)
class DebianLock:
    """The Debian packages of a platform.

    Attributes:
        platform: Such as `linux/arm64`.
        libraries: What wheels may ask for.
        root: What the root file system is unpacked from, by name.
        test: What only tests use.
        drift: Where the root differs from the committed lock, since what that names is no longer
            served: `libssl3 3.0.17-1 -> 3.0.18-1`.
    """

    platform: str
    libraries: Libraries
    root: tuple[DebianPackage, ...]
    test: tuple[DebianPackage, ...]
    drift: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[DebianPackage, ...]:
        """All of them."""
        return (*self.root, *self.test)

    @property
    def digest(self) -> str:
        """`sha256:…` of which files the root file system is unpacked from."""
        return digest_of([[package.path, package.sha256] for package in self.root])


class _Package(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+~:-]+$")]
    architecture: Literal["amd64", "arm64", "all"]
    archive: Literal["main", "security"]
    path: Annotated[str, StringConstraints(pattern=r"^pool/[A-Za-z0-9.+~:_/-]+\.deb$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: int = Field(gt=0, strict=True)


class _Libraries(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    glibc: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]
    glibcxx: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: Literal["bookworm"]
    libraries: _Libraries
    root: tuple[_Package, ...] = Field(min_length=1)
    test: tuple[_Package, ...]


def lock_path(base: Path, platform: str) -> Path:
    """Return where the lock for a platform is, given the folder, such as `images/base`."""
    return base / "locks" / f"{platform.replace('/', '-')}.json"


def read(base: Path, platform: str) -> DebianLock:
    """Read the lock for a platform, given the folder, such as `images/base`.

    Raises:
        LockError: It is missing, malformed, names a file twice, or is not the lists' lock.
    """
    lock = read_file(lock_path(base, platform), platform)
    for packages, name in ((lock.root, ROOT_LIST), (lock.test, TEST_LIST)):
        _check_list(packages, listed(base / name, platform), lock_path(base, platform), name)
    return lock


def read_file(path: Path, platform: str) -> DebianLock:
    """Read a lock for a platform from a file, wherever that is.

    Raises:
        LockError: It is missing, malformed, or names a file twice.
    """
    text = read_text(path, f"there is no lock of Debian packages for {platform}")
    try:
        document = _Document.model_validate(parse_json(text, path))
    except ValidationError as error:
        raise LockError(f"malformed: {error}", where=str(path), remedy=REMEDY) from error
    lock = DebianLock(
        platform=platform,
        libraries=Libraries(**document.libraries.model_dump()),
        root=tuple(DebianPackage(**package.model_dump()) for package in document.root),
        test=tuple(DebianPackage(**package.model_dump()) for package in document.test),
    )
    _check(lock, path)
    return lock


def listed(path: Path, platform: str) -> tuple[str, ...]:
    """Return the packages that a list names for a platform.

    Args:
        path: An entry a line; `name [amd64]` is only meant for that architecture.
        platform: Such as `linux/arm64`.

    Raises:
        LockError: The list is missing or malformed.
    """
    architecture = platform.rpartition("/")[2]
    entries = [(entry.split(), entry) for entry in list_file.read(path)]
    for words, entry in entries:
        if len(words) > 1 and words[1:] not in (["[amd64]"], ["[arm64]"]):
            raise LockError(
                f"not a package: {entry}",
                where=str(path),
                remedy="write a name, or a name and [amd64] or [arm64]",
            )
    return tuple(words[0] for words, _ in entries if words[1:] in ([], [f"[{architecture}]"]))


def format_lock(lock: DebianLock) -> str:
    """Return a lock as JSON, each package's fields on lines of their own."""
    document = {
        "suite": SUITE,
        "libraries": asdict(lock.libraries),
        "root": [asdict(package) for package in sorted(lock.root, key=lambda p: p.name)],
        "test": [asdict(package) for package in sorted(lock.test, key=lambda p: p.name)],
    }
    return json.dumps(document, indent=2) + "\n"


def _check(lock: DebianLock, path: Path) -> None:
    """Refuse a package of another architecture, and what is there twice."""
    architecture = lock.platform.rpartition("/")[2]
    seen: set[str] = set()
    for package in lock.packages:
        if package.architecture not in (architecture, "all"):
            raise LockError(
                f"{package.name} is for {package.architecture}", where=str(path), remedy=REMEDY
            )
        for word in (package.name, package.path, package.sha256):
            if word in seen:
                raise LockError(f"{word} is there twice", where=str(path), remedy=REMEDY)
            seen.add(word)


def _check_list(
    packages: Iterable[DebianPackage], wanted: Iterable[str], path: Path, name: str
) -> None:
    """Refuse a lock of other packages than those listed."""
    locked = {package.name for package in packages}
    if locked != set(wanted):
        names = ", ".join(sorted(locked ^ set(wanted)))
        raise LockError(f"not the lock of {name}: {names}", where=str(path), remedy=REMEDY)
