"""Whether a cell can exist at all, answered from the locks alone: nothing is fetched or run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builders import accelerators, list_file
from builders.errors import LockError
from builders.formats.elf import version_key
from builders.lock import debian as debian_lock
from builders.lock import wheel_tags
from builders.lock import wheels as wheel_lock
from builders.lock.debian import Libraries
from builders.lock.wheels import Source, Wheel, WheelLock
from builders.plan import Cell, Plan
from builders.wheelhouse import recipe

FORMATS = {"linux": "elf", "darwin": "mach-o"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
SYSTEMS = {"elf": "Linux", "mach-o": "macOS", "pe": "Windows"}
"""Whose machine code a file format holds."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether something can exist on a platform.

    Attributes:
        reasons: Why it cannot; none if it can.
        how: What people should know of how it can, where that is not as usual.
    """

    reasons: tuple[str, ...]
    how: tuple[str, ...]

    @property
    def possible(self) -> bool:
        """Whether it can exist."""
        return not self.reasons


@dataclass(frozen=True, kw_only=True)
class CellAnswer(Answer):
    """Whether a cell can exist, and if not, whether its locks or matrix.yaml say so."""

    cell: Cell

    @property
    def status(self) -> Literal["possible", "refused", "left out"]:
        """`refused` by its locks, or `left out` by matrix.yaml; else `possible`."""
        if self.cell.runner is None:
            return "left out"
        return "possible" if self.possible else "refused"

    @property
    def became_possible(self) -> bool:
        """Whether it can exist where matrix.yaml expects it to be refused."""
        return self.possible and self.cell.refusal_expected


def became_possible(cell: Cell) -> str:
    """Say for people that a cell can exist, against what matrix.yaml expects."""
    return (
        f"it has become possible: take {cell.platform} out of `refused` of"
        f" backends.{cell.backend} in matrix.yaml"
    )


def selected(images: Path, planned: Plan) -> tuple[CellAnswer, ...]:
    """Tell of each selected cell whether it can exist, on whatever machine.

    Raises:
        LockError: A lock or the requirements are missing or malformed.
    """
    return tuple(_cell_answer(images, cell) for cell in planned.cells if cell.selected)


def asked(images: Path, planned: Plan) -> Plan:
    """Return a plan whose cells say whether their locks refuse them.

    A cell whose locks are missing or malformed counts as refused, for that reason: what makes a
    plan is no judge of locks.
    """
    found: dict[tuple[str, str], str | None] = {}

    def refusal(cell: Cell) -> str | None:
        place = (cell.backend, cell.platform)
        if place not in found:
            try:
                found[place] = "; ".join(judge(images, *place).reasons) or None
            except LockError as error:
                found[place] = error.problem
        return found[place]

    return replace(
        planned,
        cells=tuple(
            cell if cell.runner is None else replace(cell, refused=refusal(cell))
            for cell in planned.cells
        ),
    )


def judge(images: Path, backend: str, platform: str) -> Answer:
    """Tell whether a backend can exist on a platform, whatever the model.

    Args:
        images: The folder that has one folder per backend, and `base`.
        backend: The backend's name.
        platform: Such as `linux/arm64`.

    Raises:
        LockError: A lock or the requirements are missing or malformed.
    """
    directory = images / backend
    lock = wheel_lock.read(directory, platform)
    found = reasons(
        read_requirements(directory / "requirements.in"),
        lock,
        libraries(images, platform),
        recipe.names(directory),
    )
    return Answer(reasons=found, how=() if found else situation(lock))


def libraries(images: Path, platform: str) -> Libraries | None:
    """Return what the base image's C and C++ libraries define; None for a host's own.

    Raises:
        LockError: The base's lock is missing or malformed.
    """
    if not platform.startswith("linux/"):
        return None
    return debian_lock.read(images / "base", platform).libraries


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
        found += wheel_reasons(wheel, lock.platform, libraries)
    for source in lock.sources:
        if source.name not in recipes:
            # The lock is in images/<backend>/locks.
            place = f"images/{lock.path.parent.parent.name}/wheels/{source.name}"
            found.append(
                f"{_wheels(source, lock.platform)}, and no wheel stage builds it from source"
                f" ({place} is missing)"
            )
    return tuple(found)


def wheel_reasons(wheel: Wheel, platform: str, libraries: Libraries | None) -> tuple[str, ...]:
    """Return why what a wheel holds cannot serve a platform; nothing if it can.

    Args:
        wheel: What was found when it was opened.
        platform: Such as `linux/arm64`.
        libraries: As for `reasons`.
    """
    newer = () if libraries is None else _too_new(wheel, libraries)
    return (*_foreign(wheel, platform), *newer, *_accelerator(wheel, platform))


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


def _cell_answer(images: Path, cell: Cell) -> CellAnswer:
    if cell.runner is None:
        return CellAnswer(cell=cell, reasons=(cell.left_out or "",), how=())
    answer = judge(images, cell.backend, cell.platform)
    return CellAnswer(cell=cell, reasons=answer.reasons, how=answer.how)


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
    kinds = wheel.contents.binaries
    if not kinds or own in kinds:
        return
    held, needed = ", ".join(kinds), own
    systems = sorted({SYSTEMS[kind.partition(" ")[0]] for kind in kinds})
    its = SYSTEMS[FORMATS[system]]
    if systems != [its]:
        held, needed = f"{' and '.join(systems)} binaries ({held})", f"{its}'s ({own})"
    yield f"{wheel.file} holds {held}, not {needed}"


def _accelerator(wheel: Wheel, platform: str) -> Iterator[str]:
    """Name a wheel for accelerators: no image has a use for it, and none is larger."""
    if platform.startswith("linux/") and accelerators.is_for_one(wheel.name):
        yield f"{wheel.file} is for an accelerator, and images compute on the CPU: pin a CPU build"


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
