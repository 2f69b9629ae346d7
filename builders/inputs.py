"""The fetch stage: every locked byte that the cells need, and what is unpacked from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import drift
from builders.formats import deb
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.lock.wheels import WheelLock
from builders.network import download, indexes, locating
from builders.network.download import NotServedError
from builders.network.mirrors import Mirrors, mirrors
from builders.network.transfer import Item
from builders.plan import Cell
from builders.project import Project
from builders.rootfs.kept import BASE, TOOLCHAIN
from builders.wheelhouse import build as wheel_build
from builders.wheelhouse import recipe as recipes

SHELL = "bin/busybox"
"""The member of busybox-static that the smoke tests mount: testinfra needs a shell."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Which locks are to be fetched.

    Attributes:
        roots: The platforms of root file systems, the build platform among them.
        wheels: Backend and platform of each set of wheels, the host's among them.
        build_platform: What wheels are built on that there are none of.
        compiled: Backend and platform of those sets whose built wheels are here already.
        locks: Locks of Debian packages that were in force where images were built: nothing may take
            their place.
    """

    roots: tuple[str, ...]
    wheels: tuple[tuple[str, str], ...]
    build_platform: str
    compiled: frozenset[tuple[str, str]] = frozenset()
    locks: tuple[DebianLock, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The locks of Debian packages: the committed ones, or what has drifted from them.

    Attributes:
        base: Of the images' root file system, by platform.
        toolchain: Of the compilers that build wheels, for the build platform.
    """

    base: Mapping[str, DebianLock]
    toolchain: DebianLock


def roots(cells: Iterable[Cell], build_platform: str) -> tuple[str, ...]:
    """Return the platforms of the root file systems that images are built with."""
    images = [cell.platform for cell in cells if cell.kind == "image"]
    return tuple(dict.fromkeys([build_platform, *images])) if images else ()


def fetch(
    project: Project,
    needs: Needs,
    *,
    progress: Callable[[int, int], None],
    note: Callable[[str], None] = lambda _text: None,
    places: Callable[[], Mirrors] = mirrors,
) -> InForce:
    """Bring everything that is needed into the store.

    Args:
        project: The checkout, with its locks.
        needs: Which of them.
        progress: Called with the bytes that are there, and of all that are needed.
        note: Told what has drifted from its lock.
        places: Finds Debian's mirrors.

    Returns:
        The Debian locks that are in force: where a committed one names what is no longer served,
        one that has drifted from it.

    Raises:
        LockError: A lock is missing or malformed.
        FetchError: Something cannot be downloaded, or is not what its lock says.
    """
    settings = indexes.configured(project.store.cache, find_links=project.matrix.find_links)
    toolchain = debian_lock.read(project.images / TOOLCHAIN, needs.build_platform)
    locks = {
        f"{BASE} {platform}": debian_lock.read(project.images / BASE, platform)
        for platform in needs.roots
    }
    wheels = [
        wheel_lock.read(project.images / backend, platform) for backend, platform in needs.wheels
    ]
    builders = _builders(project, needs, toolchain)
    if builders:
        locks[TOOLCHAIN] = toolchain

    def packages(debian: Mapping[str, DebianLock]) -> tuple[Item, ...]:
        wanted = [package for lock in debian.values() for package in lock.packages]
        return locating.locate_packages(wanted, project.store, places)

    def bring(items: tuple[Item, ...]) -> None:
        download.fetch(items, project.store, progress=progress, settings=settings.settings)

    try:
        bring(
            (
                *packages(locks),
                *locating.locate_wheels([*wheels, *builders], project.store, settings),
            )
        )
    except NotServedError as refusal:
        locks = {**drift.settled(locks, refusal, project.store, places, note=note)}
        bring(packages(locks))
    if needs.locks:
        bring(packages({str(number): lock for number, lock in enumerate(needs.locks)}))
    return InForce(
        base={platform: locks[f"{BASE} {platform}"] for platform in needs.roots},
        toolchain=locks.get(TOOLCHAIN, toolchain),
    )


def _builders(project: Project, needs: Needs, toolchain: DebianLock) -> list[WheelLock]:
    """Return the locks of what builds those wheels that there are none of, kept or served."""
    found = {}
    for backend, platform in needs.wheels:
        folder = project.images / backend
        if (backend, platform) in needs.compiled:
            continue
        if platform.startswith("linux/"):
            for build in wheel_build.planned(project, backend, platform, toolchain):
                if not wheel_build.is_built(project, build):
                    found[build.recipe.directory] = toolchain.platform
        else:
            for source in wheel_lock.read(folder, platform).sources:
                found[recipes.read(folder, source.name).directory] = platform
    return [wheel_lock.read(directory, platform) for directory, platform in found.items()]


def shell(project: Project, lock: DebianLock) -> Path:
    """Return a static shell of a lock that was fetched: no image holds one, testinfra needs it."""
    package = next(package for package in lock.test if package.name == "busybox-static")

    def make(directory: Path) -> None:
        program = directory / "busybox"
        program.write_bytes(deb.extract(project.store.path(package.sha256), SHELL))
        program.chmod(0o755)

    return project.store.derived("shells", package.sha256, make) / "busybox"
