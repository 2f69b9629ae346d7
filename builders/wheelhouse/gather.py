"""All wheels of a backend for a platform: those of its lock, and those that are built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builders.engine import Engine
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
    """

    lock: DebianLock
    engine: Callable[[], Engine]


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
    if not lock.platform.startswith("linux/"):
        return tuple(local.built(project, backend, source, note=note) for source in lock.sources)
    return tuple(
        stage.built(project, planned, toolchain.lock, toolchain.engine, note=note)
        for planned in build.planned(project, backend, lock.platform, toolchain.lock)
    )


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
