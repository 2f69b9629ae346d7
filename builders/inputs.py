"""The fetch stage: every locked byte that the cells need, and what is unpacked from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import drift, list_file, rootfs
from builders.files import digest_of, sha256_of
from builders.formats import deb, layout
from builders.image import Root, Wheels
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.network import download, indexes, locating
from builders.network.download import NotServedError
from builders.network.mirrors import Mirrors, mirrors
from builders.network.transfer import Item
from builders.project import Project

SHELL = "bin/busybox"
"""The member of busybox-static that the smoke tests mount: testinfra needs a shell."""

_ROOT_CODE = (
    "formats/deb.py",
    "formats/layer.py",
    "rootfs/__init__.py",
    "rootfs/entries.py",
    "rootfs/system_files.py",
)
"""What a root file system depends on beside its packages."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Which locks are to be fetched.

    Attributes:
        roots: The platforms of root file systems, the build platform among them.
        wheels: Backend and platform of each set of wheels, the host's among them.
    """

    roots: tuple[str, ...]
    wheels: tuple[tuple[str, str], ...]


def fetch(
    project: Project,
    needs: Needs,
    *,
    progress: Callable[[int, int], None],
    note: Callable[[str], None] = lambda _text: None,
    places: Callable[[], Mirrors] = mirrors,
) -> Mapping[str, DebianLock]:
    """Bring everything that is needed into the store.

    Args:
        project: The checkout, with its locks.
        needs: Which of them.
        progress: Called with the bytes that are there, and of all that are needed.
        note: Told what has drifted from its lock.
        places: Finds Debian's mirrors.

    Returns:
        The Debian lock that is in force for each platform of the roots: the committed one, or
        where that names what is no longer served, one that has drifted from it.

    Raises:
        LockError: A lock is missing or malformed.
        FetchError: Something cannot be downloaded, or is not what its lock says.
    """
    settings = indexes.configured(project.store.cache)
    locks = {
        platform: debian_lock.read(project.images / "base", platform) for platform in needs.roots
    }
    wheels = [
        wheel_lock.read(project.images / backend, platform) for backend, platform in needs.wheels
    ]

    def packages(debian: Mapping[str, DebianLock]) -> tuple[Item, ...]:
        wanted = [package for lock in debian.values() for package in lock.packages]
        return locating.locate_packages(wanted, project.store, places)

    def bring(items: tuple[Item, ...]) -> None:
        download.fetch(items, project.store, progress=progress, settings=settings.settings)

    try:
        bring((*packages(locks), *locating.locate_wheels(wheels, project.store, settings)))
    except NotServedError as refusal:
        in_force = drift.settled(locks, refusal, project.store, places, note=note)
        bring(packages(in_force))
        return in_force
    return locks


def root(project: Project, lock: DebianLock) -> Root:
    """Return the root file system of a lock that was fetched, unpacked once and kept.

    Raises:
        ArchiveError: A package holds what it must not.
    """
    prune = list_file.read(project.images / "base" / "prune.txt")
    epoch = project.matrix.epoch
    key = digest_of(
        {
            "code": {name: sha256_of(Path(__file__).parent / name) for name in _ROOT_CODE},
            "epoch": epoch,
            "packages": lock.digest,
            "platform": lock.platform,
            "prune": list(prune),
        }
    )

    def make(directory: Path) -> None:
        rootfs.write_base_layout(
            [project.store.path(package.sha256) for package in lock.root],
            platform=lock.platform,
            prune=prune,
            epoch=epoch,
            directory=directory,
        )

    directory = project.store.derived("roots", key.removeprefix("sha256:"), make)
    return Root(
        directory=directory, digest=layout.read(directory).manifest_digest, lock=lock.digest
    )


def wheels(project: Project, backend: str, platform: str) -> Wheels:
    """Return a directory with a backend's locked wheels for a platform."""
    lock = wheel_lock.read(project.images / backend, platform)
    directory = project.store.gathered("wheels", lock.files)
    return Wheels(directory=directory, lock=lock.digest)


def shell(project: Project, lock: DebianLock) -> Path:
    """Return a static shell of a lock that was fetched: no image holds one, testinfra needs it."""
    package = next(package for package in lock.test if package.name == "busybox-static")

    def make(directory: Path) -> None:
        program = directory / "busybox"
        program.write_bytes(deb.extract(project.store.path(package.sha256), SHELL))
        program.chmod(0o755)

    return project.store.derived("shells", package.sha256, make) / "busybox"
