"""Whether a cell can exist at all, answered from the locks alone: nothing is fetched or run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builders import list_file
from builders.errors import LockError
from builders.formats.elf import version_key
from builders.lock import wheel_tags
from builders.lock.debian import Libraries
from builders.lock.wheels import Source, Wheel, WheelLock

FORMATS = {"linux": "elf", "darwin": "mach-o"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def reasons(
    requirements: Iterable[Requirement],
    lock: WheelLock,
    libraries: Libraries | None,
    recipes: Collection[str] = (),
) -> tuple[str, ...]:
    """Return why the locked wheels cannot serve their platform; nothing if they can.

    What a wheel that is built from source holds is not known before: its own audit judges it.

    Args:
        requirements: What the backend asks for directly.
        lock: Its wheels for the platform.
        libraries: What the image's C and C++ libraries define; None for a host's own.
        recipes: The projects that the backend has a recipe for: how they are built from source.
    """
    if lock.no_solution:
        return (f"no wheels for {lock.platform}: {lock.no_solution}",)
    found = [*_unmet(requirements, lock)]
    for wheel in lock.wheels:
        found += _foreign(wheel, lock.platform)
        if libraries is not None:
            found += _too_new(wheel, libraries)
    for source in lock.sources:
        if source.name not in recipes:
            # The lock is in images/<backend>/locks.
            place = f"images/{lock.path.parent.parent.name}/wheels/{source.name}"
            found.append(
                f"{_wheels(source, lock.platform)}, and no wheel stage builds it from source"
                f" ({place} is missing)"
            )
    return tuple(found)


def situation(lock: WheelLock) -> tuple[str, ...]:
    """Tell for people what is not as usual about locked wheels that can serve their platform.

    Returns:
        A line for each project that is built from source: for want of a wheel when it was locked,
        or in spite of one.
    """
    is_image = lock.platform.startswith("linux/")
    how = "by this image's wheel stage" if is_image else "on this host"
    return tuple(
        f"{_wheels(source, lock.platform)}; built from source {how}" for source in lock.sources
    )


def read_requirements(path: Path) -> tuple[Requirement, ...]:
    """Read a backend's requirements.in.

    Raises:
        LockError: A line is no requirement.
    """
    found = []
    for line in list_file.read(path):
        try:
            found.append(Requirement(line))
        except InvalidRequirement as error:
            raise LockError(
                f"not a requirement: {line}",
                where=str(path),
                remedy="write a project's name, with a version specifier if need be",
            ) from error
    return tuple(found)


def _unmet(requirements: Iterable[Requirement], lock: WheelLock) -> Iterator[str]:
    """Name the requirements that no locked wheel meets."""
    versions = {one.name: one.version for one in lock.locked}
    environment = _marker_environment(lock.platform)
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None:
            yield f"no wheel of {requirement.name} for {lock.platform} is locked"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement} is required, {version} is locked"


def _wheels(source: Source, platform: str) -> str:
    """Tell which wheels there were of what is locked as a source archive."""
    if any(wheel_tags.fits(file, platform) for file in source.wheels):
        found = f"its wheel for {platform} is not taken"
    elif source.wheels:
        found = f"no wheel for {platform}"
    else:
        found = "no wheel for any platform"
    return f"{source.name} {source.version}: {found}"


def _foreign(wheel: Wheel, platform: str) -> Iterator[str]:
    """Name machine code that the platform cannot run, whatever the wheel's label says.

    A wheel may hold several kinds (a universal macOS library, say) as long as the right one is
    among them.
    """
    system, _, machine = platform.partition("/")
    own = f"{FORMATS[system]} {machine}"
    if wheel.contents.binaries and own not in wheel.contents.binaries:
        yield f"{wheel.file} holds {', '.join(wheel.contents.binaries)}, not {own}"


def _too_new(wheel: Wheel, libraries: Libraries) -> Iterator[str]:
    """Name libraries that a wheel wants newer than the image has them."""
    for name, wanted, there in (
        ("GLIBC", wheel.contents.glibc, libraries.glibc),
        ("GLIBCXX", wheel.contents.glibcxx, libraries.glibcxx),
    ):
        if wanted is not None and version_key(wanted) > version_key(there):
            yield f"{wheel.file} asks for {name}_{wanted}, and the image has {name}_{there}"


def _marker_environment(platform: str) -> dict[str, str]:
    """Return what environment markers are evaluated against: the target, not this host."""
    system, _, machine = platform.partition("/")
    is_linux = system == "linux"
    return {
        "implementation_name": "cpython",
        "implementation_version": "3.11.2",
        "os_name": "posix",
        "platform_machine": MACHINES[machine] if is_linux or machine == "amd64" else machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux" if is_linux else "Darwin",
        "platform_version": "",
        "python_full_version": "3.11.2",
        "python_version": "3.11",
        "sys_platform": system,
        "extra": "",
    }
