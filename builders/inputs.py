"""The fetch stage: every locked byte that the cells need, and what is unpacked from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builders import list_file, rootfs
from builders.files import digest_of, sha256_of
from builders.formats import deb, layout
from builders.image import Root, Wheels
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.network import download, indexes, locating
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


def fetch(project: Project, needs: Needs, *, progress: Callable[[int, int], None]) -> None:
    """Bring everything that is needed into the store.

    Raises:
        LockError: A lock is missing or malformed.
        FetchError: Something cannot be downloaded, or is not what its lock says.
    """
    settings = indexes.configured(project.store.cache)
    debian = [debian_lock.read(project.images / "base", platform) for platform in needs.roots]
    wheels = [
        wheel_lock.read(project.images / backend, platform) for backend, platform in needs.wheels
    ]
    packages = [package for lock in debian for package in (*lock.root, *lock.test)]
    items = (
        *locating.locate_packages(packages, project.store),
        *locating.locate_wheels(wheels, project.store, settings),
    )
    download.fetch(items, project.store, progress=progress, settings=settings.settings)


def root(project: Project, platform: str) -> Root:
    """Return the root file system of a platform, unpacked once and kept.

    Raises:
        ArchiveError: A package holds what it must not.
    """
    base = project.images / "base"
    lock = debian_lock.read(base, platform)
    prune = list_file.read(base / "prune.txt")
    epoch = project.matrix.epoch
    key = digest_of(
        {
            "code": {name: sha256_of(Path(__file__).parent / name) for name in _ROOT_CODE},
            "epoch": epoch,
            "packages": lock.digest,
            "platform": platform,
            "prune": list(prune),
        }
    )

    def make(directory: Path) -> None:
        rootfs.write_base_layout(
            [project.store.path(package.sha256) for package in lock.root],
            platform=platform,
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


def shell(project: Project, platform: str) -> Path:
    """Return a static shell for a platform, which no image holds and testinfra needs."""
    lock = debian_lock.read(project.images / "base", platform)
    package = next(package for package in lock.test if package.name == "busybox-static")

    def make(directory: Path) -> None:
        program = directory / "busybox"
        program.write_bytes(deb.extract(project.store.path(package.sha256), SHELL))
        program.chmod(0o755)

    return project.store.derived("shells", package.sha256, make) / "busybox"
