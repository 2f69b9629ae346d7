"""The stages that more than one command goes through: engine, fetch, build, reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builders import drift, engine, host, image, inputs, model, proof, reference
from builders.engine import Engine
from builders.image import Base
from builders.inputs import Needs
from builders.lock.debian import DebianLock
from builders.once import Once
from builders.plan import Cell
from builders.project import Project
from builders.report import Reporter
from builders.vectors import Vectors


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to go about it.

    Attributes:
        jobs: Cells that are worked on at the same time.
        rebuild: Build what is in the cache, without the builder's cache.
        reprove: Judge what has passed.
    """

    jobs: int
    rebuild: bool
    reprove: bool


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What cells need and share: each thing is made once, by the cell that needs it first.

    Attributes:
        run: The mark of this run, which its containers bear.
        debian: The Debian lock that is in force for each platform.
        bases: The base image of each platform.
        references: The host's vectors, by backend and model.
    """

    engine: Engine
    run: str
    options: Options
    debian: Mapping[str, DebianLock]
    bases: Once[str, Base]
    references: Once[tuple[str, str], Vectors]


def find_engine(project: Project, reporter: Reporter) -> Engine:
    """Return the engine that the matrix asks for, ready to be used."""
    with reporter.step("engine") as step:
        return engine.find(project.store.cache, named=project.matrix.engine, note=step.note)


def fetch(
    project: Project, cells: Sequence[Cell], build_platform: str, reporter: Reporter
) -> Mapping[str, DebianLock]:
    """Fetch what the cells and the host's references need, before any cell is worked on.

    Returns:
        The Debian locks in force: they may have drifted from the committed ones.
    """
    here = host.current()
    images = [cell.platform for cell in cells if cell.kind == "image"]
    needs = Needs(
        roots=tuple(dict.fromkeys([build_platform, *images])) if images else (),
        wheels=tuple(
            dict.fromkeys(
                (cell.backend, platform) for cell in cells for platform in (cell.platform, here)
            )
        ),
    )
    with reporter.step("fetch") as step:
        return inputs.fetch(project, needs, progress=step.progress, note=step.note)


def built(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> proof.Image:
    """Build a cell's image from its inputs."""
    target, build = shared.debian[cell.platform], shared.debian[shared.engine.native]
    base = _base(project, cell.platform, shared, reporter)
    wheels = inputs.wheels(project, cell.backend, cell.platform)
    directory = model.directory(project, cell.model, cell.format)
    recipe = image.backend_recipe(
        project.images,
        name=cell.image,
        platform=cell.platform,
        backend=(cell.backend, project.matrix.backends[cell.backend]),
        model=(cell.model, project.matrix.models[cell.model]),
        base=base,
        build_root=inputs.root(project, build),
        wheels=wheels,
        model_directory=directory,
        epoch=project.matrix.epoch,
    )
    return proof.Image(
        layout=image.built(
            recipe,
            shared.engine,
            project.store,
            note=lambda text: reporter.note(cell.id, text),
            rebuild=shared.options.rebuild,
        ),
        recipe=recipe,
        model=directory,
        debian=target,
        drift=drift.of_image(target, build),
        wheel_lock=wheels.lock,
    )


def referenced(project: Project, cell: Cell, shared: Shared) -> Vectors:
    """Return this host's vectors of the corpus."""
    return shared.references.get(
        (cell.backend, cell.model), lambda: reference.vectors(project, cell)
    )


def _base(project: Project, platform: str, shared: Shared, reporter: Reporter) -> Base:
    """Return a platform's base image."""

    def make() -> Base:
        root = inputs.root(project, shared.debian[platform])
        recipe = image.base_recipe(
            project.images,
            platform=platform,
            root=root,
            build_root=inputs.root(project, shared.debian[shared.engine.native]),
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
