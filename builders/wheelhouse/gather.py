"""All wheels of a backend for a platform: those of its lock, and those that are built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builders.engine import Engine
from builders.errors import BuildError
from builders.files import sha256_of
from builders.formats import wheel as wheel_file
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.lock.wheels import Wheel, WheelLock
from builders.project import Project
from builders.store import link_or_copy
from builders.wheelhouse import audit, build, local, stage
from builders.wheelhouse import recipe as recipes
from builders.wheelhouse.wheels import Wheels


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """What builds wheels that there are none of.

    Attributes:
        lock: The lock of the compilers that is in force, for the build platform.
        engine: Gives the engine that builds; only asked when something is to be built.
        compiled: Wheels that were built elsewhere, by backend and platform: those are taken.
    """

    lock: DebianLock
    engine: Callable[[], Engine]
    compiled: Mapping[tuple[str, str], tuple[Path, ...]] = field(default_factory=dict)


def wheels_of(
    project: Project,
    backend: str,
    platform: str,
    toolchain: Toolchain,
    *,
    note: Callable[[str], None],
) -> Wheels:
    """Return a backend's wheels for a platform; what has no wheel is built.

    Args:
        project: The checkout, with all inputs in its store.
        backend: Whose lock.
        platform: The target platform.
        toolchain: What builds wheels.
        note: Told what is built.

    Raises:
        LockError: A lock is malformed, or there is no recipe for a source archive.
        BuildError: A wheel cannot be built, or is not what its recipe promises.
    """
    lock = wheel_lock.read(project.images / backend, platform)
    made = tuple(_add(project, path) for path in _built(project, backend, lock, toolchain, note))
    wheels = (*lock.wheels, *made)
    return Wheels(
        directory=project.store.gathered("wheels", {w.file: w.sha256 for w in wheels}),
        lock=lock.digest,
        wheels=wheels,
        built={wheel.file: wheel.sha256 for wheel in made},
        promised={
            wheel.name: audit.promised_libraries(
                project.store.path(wheel.sha256),
                recipes.read(project.images / backend, wheel.name).document,
            )
            for wheel in made
        },
        drift=toolchain.lock.drift if made and platform.startswith("linux/") else (),
    )


def _built(
    project: Project,
    backend: str,
    lock: WheelLock,
    toolchain: Toolchain,
    note: Callable[[str], None],
) -> tuple[Path, ...]:
    if (backend, lock.platform) in toolchain.compiled:
        return _fit(project, backend, lock, toolchain.compiled[backend, lock.platform])
    if not lock.platform.startswith("linux/"):
        return tuple(local.built(project, backend, source, note=note) for source in lock.sources)
    return tuple(
        stage.built(project, planned, toolchain.lock, toolchain.engine, note=note)
        for planned in build.planned(project, backend, lock.platform, toolchain.lock)
    )


def _fit(
    project: Project, backend: str, lock: WheelLock, wheels: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Return wheels that were built elsewhere, once they have passed the audit of those built here.

    Raises:
        BuildError: They are of other source archives than the lock's, or not what their recipes
            promise.
    """
    built = sorted(wheel_file.distribution(wheel.name) for wheel in wheels)
    wanted = sorted((source.name, source.version) for source in lock.sources)
    if built != wanted:
        raise BuildError(
            f"the wheels that were compiled elsewhere are {_listed(built)};"
            f" the lock has {_listed(wanted)}",
            where=f"{backend} {lock.platform}",
            remedy="build the image anew, from this checkout",
        )
    for wheel in wheels:
        name, _ = wheel_file.distribution(wheel.name)
        audit.refuse_unfit(
            wheel,
            recipes.read(project.images / backend, name).document,
            platform=lock.platform,
            builder_paths=(str(project.root), str(project.store.cache)),
        )
    return wheels


def _listed(names: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in names) or "none"


def _add(project: Project, path: Path) -> Wheel:
    """Put a built wheel into the store, where locked ones are, and tell what it holds."""
    sha256, size = sha256_of(path), path.stat().st_size
    # Cells that are worked on at the same time share a wheel.
    with project.store.exclusive(f"built-{sha256}"):
        if project.store.find(sha256, size) is None:
            partial = project.store.partial(sha256)
            partial.unlink(missing_ok=True)
            link_or_copy(path, partial)
            project.store.add(sha256, partial)
    name, version = wheel_file.distribution(path.name)
    return Wheel(
        name=name,
        version=version,
        sha256=sha256,
        file=path.name,
        size=size,
        contents=wheel_file.inspect(path),
    )
