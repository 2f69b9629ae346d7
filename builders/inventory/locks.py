"""What an image is made of, by the locks of its cell."""

from __future__ import annotations

from builders.files import digest_of, sha256_of, tree_digests
from builders.inventory.component import Component, Kind
from builders.inventory.inventory import Declared, Locked, by_name
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.model import ModelDirectory
from builders.plan import Cell
from builders.project import Project
from builders.wheelhouse.wheels import Wheels


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
    model = project.matrix.models[cell.model]
    lock = wheel_lock.read(project.images / cell.backend, cell.platform)
    sources = {source.name: source.sha256 for source in lock.sources}
    return Declared(
        debian={
            package.name: Locked(version=package.version, sha256=package.sha256)
            for package in debian.root
        },
        root=root,
        wheels=by_name(
            (
                wheel.name,
                Locked(
                    version=wheel.version, sha256=wheel.sha256, source=sources.get(wheel.name, "")
                ),
            )
            for wheel in wheels.wheels
        ),
        model=Component(
            kind=Kind.MODEL,
            name=cell.model,
            version=model.source,
            purl="",
            sha256=directory.digest.removeprefix("sha256:"),
            licences=(model.licence,),
        ),
        service=Component(
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
        ),
        files=directory.files,
    )
