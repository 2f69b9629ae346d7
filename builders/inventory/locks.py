"""What an image is made of, by the locks of its cell."""

from __future__ import annotations

from collections.abc import Mapping

from builders.files import digest_of, sha256_of, tree_digests
from builders.inventory import licensing
from builders.inventory.component import Component, Kind
from builders.inventory.inventory import Declared, Locked, by_name
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.model import ModelDirectory
from builders.paths import MODEL
from builders.plan import Cell
from builders.project import Project
from builders.wheelhouse.wheels import Wheels

_LICENCE = f"/{licensing.COMMON}/Apache-2.0"


def declared(
    project: Project,
    cell: Cell,
    *,
    debian: DebianLock,
    root: tuple[str, ...],
    wheels: Wheels,
    directory: ModelDirectory,
) -> Declared:
    """Return what a cell's image is made of.

    Args:
        project: The checkout.
        cell: The cell.
        debian: The Debian lock in force.
        root: The diffIDs of the layers of the root file system.
        wheels: Those that are in it.
        directory: Of the model.

    Raises:
        LockError: The lock of the wheels is missing or malformed.
    """
    return Declared(
        title=_title(cell),
        debian={
            package.name: Locked(version=package.version, sha256=package.sha256)
            for package in debian.root
        },
        root=root,
        wheels=_wheels(project, cell, cell.platform, wheels),
        model=_model(project, cell, directory, f"/{MODEL}"),
        service=_service(project, cell, (_LICENCE,)),
        files=directory.files,
        epoch=project.matrix.epoch,
    )


def on_host(
    project: Project, cell: Cell, *, platform: str, wheels: Wheels, directory: ModelDirectory
) -> Declared:
    """Return what a cell's service is made of where it runs on a host.

    Args:
        project: The checkout.
        cell: The cell.
        platform: The host's.
        wheels: Those of its environment.
        directory: Of the model.

    Raises:
        LockError: The lock of the wheels is missing or malformed.
    """
    return Declared(
        title=_title(cell),
        debian={},
        root=(),
        wheels=_wheels(project, cell, platform, wheels),
        model=_model(project, cell, directory, str(directory.path)),
        service=_service(project, cell, ()),
        files=directory.files,
        epoch=project.matrix.epoch,
    )


def _title(cell: Cell) -> str:
    return cell.image.rpartition("/")[2]


def _wheels(project: Project, cell: Cell, platform: str, wheels: Wheels) -> Mapping[str, Locked]:
    lock = wheel_lock.read(project.images / cell.backend, platform)
    sources = {source.name: source.sha256 for source in lock.sources}
    return by_name(
        (
            wheel.name,
            Locked(version=wheel.version, sha256=wheel.sha256, source=sources.get(wheel.name, "")),
        )
        for wheel in wheels.wheels
    )


def _model(project: Project, cell: Cell, directory: ModelDirectory, place: str) -> Component:
    """Return the model with its files.

    Args:
        project: The checkout.
        cell: Whose model.
        directory: Of the model.
        place: Where that is, in the image or on the host.
    """
    model = project.matrix.models[cell.model]
    return Component(
        kind=Kind.MODEL,
        name=cell.model,
        version=model.source,
        purl="",
        sha256=directory.digest.removeprefix("sha256:"),
        licences=(model.licence,),
        parts=tuple(
            Component(kind=Kind.FILE, name=path, version="", purl="", sha256=sha256)
            for path, sha256 in sorted(directory.files.items())
        ),
        texts=tuple(
            f"{place}/{path}" for path in sorted(directory.files) if licensing.is_text(path)
        ),
    )


def _service(project: Project, cell: Cell, texts: tuple[str, ...]) -> Component:
    return Component(
        kind=Kind.SERVICE,
        name="equivec-embedding-service",
        version="",
        purl="",
        sha256=digest_of(
            {
                "backend": sha256_of(project.images / cell.backend / "backend.py"),
                "service": dict(tree_digests(project.images / "service")),
            }
        ).removeprefix("sha256:"),
        licences=("Apache-2.0",),
        texts=texts,
    )
