"""The stages that more than one command goes through: engine, fetch, build, reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders import anchor as anchors
from builders import (
    drift,
    engine,
    host,
    host_venv,
    image,
    inputs,
    list_file,
    model,
    proof,
    reference,
    upstream,
)
from builders.engine import Engine
from builders.errors import ReferenceVectorsError
from builders.image import Base, Root
from builders.inputs import InForce, Needs
from builders.inventory import locks as inventory_locks
from builders.inventory import notices
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.once import Once
from builders.parcels.opening import Parcels
from builders.plan import Cell
from builders.project import Project
from builders.report import Reporter
from builders.rootfs import kept
from builders.vectors import Vectors
from builders.wheelhouse import gather
from builders.wheelhouse.gather import Toolchain
from builders.wheelhouse.wheels import Wheels


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to go about it.

    Attributes:
        jobs: Cells that are worked on at the same time.
        rebuild: Build what is in the cache, without the builder's cache.
        reprove: Judge what has passed.
        parcels: The images, built elsewhere; None if they are built here.
    """

    jobs: int
    rebuild: bool
    reprove: bool
    parcels: Parcels | None = None


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What cells need and share: each thing is made once, by the cell that needs it first.

    Attributes:
        run: The mark of this run, which its containers bear.
        debian: The Debian locks that are in force.
        bases: The base image of each platform.
        references: The host's vectors, by backend and model.
        roots: Root file systems, by the cache that has them and their lock.
    """

    engine: Engine
    run: str
    options: Options
    debian: InForce
    bases: Once[str, Base]
    references: Once[tuple[str, str], Vectors]
    roots: Once[tuple[Path, str], Root] = field(default_factory=Once)

    @property
    def toolchain(self) -> Toolchain:
        """What builds wheels that there are none of."""
        parcels = self.options.parcels
        return Toolchain(
            lock=self.debian.toolchain,
            engine=lambda: self.engine,
            compiled={} if parcels is None else parcels.wheels,
        )


def find_engine(project: Project, reporter: Reporter) -> Engine:
    """Return the engine that the matrix asks for, ready to be used."""
    with reporter.step("engine") as step:
        return engine.find(project.store.cache, named=project.matrix.engine, note=step.note)


def fetch(
    project: Project, cells: Sequence[Cell], build_platform: str, reporter: Reporter
) -> InForce:
    """Fetch what the cells and the host's references need, before any cell is worked on.

    Returns:
        The Debian locks in force: they may have drifted from the committed ones.
    """
    return bring(project, needs(project, cells, build_platform), reporter)


def bring(project: Project, wanted: Needs, reporter: Reporter) -> InForce:
    """Fetch what is needed; returns as `fetch` does."""
    with reporter.step("fetch") as step:
        return inputs.fetch(project, wanted, progress=step.progress, note=step.note)


def needs(project: Project, cells: Sequence[Cell], build_platform: str) -> Needs:
    """Return what cells and the host's references need, to be built and proved."""
    here = host.current()
    return Needs(
        roots=inputs.roots(cells, build_platform),
        wheels=tuple(
            dict.fromkeys(
                (backend, platform)
                for cell in cells
                for backend, platform in (
                    (cell.backend, cell.platform),
                    *_references(project, cell, here),
                    *_anchors(project, cell, here),
                )
            )
        ),
        build_platform=build_platform,
    )


def built(
    project: Project,
    cell: Cell,
    shared: Shared,
    reporter: Reporter,
    *,
    asked_by: Cell | None = None,
) -> proof.Image:
    """Build a cell's image from its inputs.

    Args:
        project: The checkout.
        cell: The cell.
        shared: What the run has.
        reporter: Told what goes on.
        asked_by: The cell that needs the image, where that is another.
    """
    locks = shared.debian.base
    target, build = locks[cell.platform], locks[shared.engine.native]
    base = _base(project, cell.platform, shared, reporter)
    wheels = wheels_of(project, cell.backend, cell.platform, shared.toolchain, reporter)
    directory = model.directory(project, cell.model, cell.format)
    root = tuple(layer.diff_id for layer in base.layout.layers)
    told = notices.of_image(
        project.store,
        inventory_locks.declared(
            project, cell, debian=target, root=root, wheels=wheels, directory=directory
        ),
        root=lambda: _root(project, target, shared).directory,
        wheels=wheels,
        prune=list_file.read(project.images / cell.backend / "prune.txt"),
    )
    recipe = image.backend_recipe(
        project.images,
        name=cell.image,
        platform=cell.platform,
        backend=(cell.backend, project.matrix.backends[cell.backend]),
        model=(cell.model, project.matrix.models[cell.model]),
        base=base,
        build_root=_root(project, build, shared),
        wheels=wheels,
        model_directory=directory,
        notices=told.context,
        epoch=project.matrix.epoch,
    )
    return proof.Image(
        layout=image.built(
            recipe,
            shared.engine,
            project.store,
            note=lambda text: reporter.note((asked_by or cell).id, text),
            rebuild=shared.options.rebuild,
        ),
        labels=recipe.labels,
        model=directory,
        debian=target,
        root=root,
        drift=(*drift.of_image(target, build), *wheels.drift),
        wheels=wheels,
        build_platform=shared.engine.native,
        builder=shared.engine.described,
        builder_paths=(str(project.root), str(project.store.cache)),
    )


def wheels_of(
    project: Project, backend: str, platform: str, toolchain: Toolchain, reporter: Reporter
) -> Wheels:
    """Return a backend's wheels for a platform; those that there are none of are built."""
    if not wheel_lock.read(project.images / backend, platform).sources:
        return gather.wheels_of(project, backend, platform, toolchain, note=_silent)
    with reporter.step(f"wheels {backend} {platform}") as step:
        return gather.wheels_of(project, backend, platform, toolchain, note=step.note)


def host_python(project: Project, backend: str, toolchain: Toolchain, reporter: Reporter) -> Path:
    """Return the interpreter of an environment that holds a backend's wheels for this host.

    Raises:
        LockError: There is no lock for this host's platform.
        ReferenceVectorsError: No set of wheels exists for it, or there is no Python 3.11.
    """
    lock = wheel_lock.read(project.images / backend, host.current())
    if lock.no_solution:
        raise ReferenceVectorsError(
            f"{backend} cannot be installed on {lock.platform}: {lock.no_solution}",
            where=str(lock.path),
            remedy="make the reference vectors on another host",
        )
    wheels = wheels_of(project, backend, lock.platform, toolchain, reporter)
    return host_venv.python(project.store, wheels.wheels, wheels.directory)


def referenced(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Vectors:
    """Return this host's vectors of the corpus: of an API's model, those of what answers as it."""
    own = upstream.cell_of(project.matrix, cell, host.current())
    if own is not None:
        return referenced(project, own, shared, reporter)

    def make() -> Vectors:
        python = host_python(project, cell.backend, shared.toolchain, reporter)
        return reference.vectors(project, cell, python)

    return shared.references.get((cell.backend, cell.model), make)


def _references(project: Project, cell: Cell, here: str) -> tuple[tuple[str, str], ...]:
    """Return the wheels that a cell's reference vectors are made with, and its API's, if any."""
    own = upstream.name_of(project.matrix.models[cell.model])
    if own is None:
        return ((cell.backend, here),)
    anchor = project.matrix.anchor
    return () if anchor is None else ((anchor, here), (anchor, cell.platform))


def _anchors(project: Project, cell: Cell, here: str) -> tuple[tuple[str, str], ...]:
    """Return the wheels that the vectors are made with which a cell's are held against."""
    anchor = anchors.of(project.matrix, cell, here)
    return () if anchor is None else ((anchor.backend, here),)


def _root(project: Project, lock: DebianLock, shared: Shared) -> Root:
    """Return the root file system of a lock."""
    return shared.roots.get((project.store.cache, lock.digest), lambda: kept.root(project, lock))


def _base(project: Project, platform: str, shared: Shared, reporter: Reporter) -> Base:
    """Return a platform's base image."""

    def make() -> Base:
        locks = shared.debian.base
        root = _root(project, locks[platform], shared)
        recipe = image.base_recipe(
            project.images,
            platform=platform,
            root=root,
            build_root=_root(project, locks[shared.engine.native], shared),
            epoch=project.matrix.epoch,
        )
        with reporter.step(f"base {platform}") as step:
            layout = image.built(
                recipe,
                shared.engine,
                project.store,
                note=step.note,
                rebuild=shared.options.rebuild,
            )
        return Base(layout=layout, lock=root.lock)

    return shared.bases.get(platform, make)


def _silent(_text: str) -> None:
    pass
