"""Builds that nothing was made for before: a fresh engine, an empty cache, another epoch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders import engine, host, model, stages
from builders import plan as plans
from builders.engine import Engine
from builders.engine import configuration as engine_configuration
from builders.engine import private as private_engine
from builders.inputs import InForce
from builders.lock import wheels as wheel_lock
from builders.once import Once
from builders.plan import Cell
from builders.project import Project
from builders.report import Reporter
from builders.rootfs import kept
from builders.selection import Selection
from builders.stages import Options, Shared
from builders.store import Store, remove_tree

BACKEND = "onnxruntime"

_LENT = ("models", "wheels")
"""What is derived from inputs alone, and not part of a build's time."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What builds are timed with.

    Attributes:
        project: What is built; all its inputs are in its store.
        engine: Has built nothing before.
        debian: The Debian locks in force.
        scratch: An empty directory.
        reporter: Told what goes on.
    """

    project: Project
    engine: Engine
    debian: InForce
    scratch: Path
    reporter: Reporter


def image_cells(project: Project, backend: str = BACKEND) -> tuple[Cell, ...]:
    """Return the default model's cells of one backend that yield images here.

    Unless another is named, it is one whose wheels are all locked: what is timed is the building of
    images, not of wheels.
    """
    planned = plans.plan(project.matrix, Selection(backends=(backend,)), host.current())
    return tuple(cell for cell in plans.runnable(planned) if cell.kind == "image")


@contextlib.contextmanager
def workshop(
    project: Project, cells: Sequence[Cell], scratch: Path, reporter: Reporter
) -> Iterator[Workshop]:
    """Fetch the cells' inputs and give a fresh engine, which is stopped in the end.

    Where builds use the machine's own engine, it is given, with the caches that it has.
    """
    cache, programs = scratch / "engine-cache", None
    with reporter.step("engine") as step:
        if not private_engine.reasons_against():
            # The user's, so that they are not downloaded once more.
            private_engine.prepare(project.store.cache, note=step.note)
            programs = engine_configuration.places(project.store.cache).packages
    try:
        with reporter.step("fresh engine") as step:
            fresh = engine.find(
                cache, named=project.matrix.engine, note=step.note, packages=programs
            )
        debian = stages.fetch(project, cells, fresh.native, reporter)
        for cell in cells:
            project.store.gathered(
                "wheels",
                wheel_lock.read(project.images / cell.backend, cell.platform).files,
            )
            model.directory(project, cell.model, cell.format)
        yield Workshop(
            project=project, engine=fresh, debian=debian, scratch=scratch, reporter=reporter
        )
    finally:
        engine.stop(cache, packages=programs)


def seconds(shop: Workshop, cell: Cell) -> float:
    """Return how long a cell's image takes from its fetched inputs.

    BuildKit keeps the compressed form of layers that it has met, even where its cache is off.
    So each build has an epoch of its own, the clock's: its layers are met for the first time.

    Raises:
        BuildError: The build failed.
    """
    directory = shop.scratch / "own"
    project = _emptied(shop.project, directory)
    shared = Shared(
        engine=shop.engine,
        run="",  # no container is started
        options=Options(jobs=1, rebuild=True, reprove=False),
        debian=shop.debian,
        bases=Once(),
        references=Once(),
    )
    if cell.platform != shop.engine.native:
        # Where both are built, it is there; alone, its time is not the target platform's.
        kept.root(project, shop.debian.base[shop.engine.native])
    begun = time.perf_counter()
    stages.built(project, cell, shared, shop.reporter)
    taken = time.perf_counter() - begun
    remove_tree(directory)
    shop.reporter.passed(cell.id, f"built in {taken:.1f} s")
    return taken


def _emptied(project: Project, directory: Path) -> Project:
    """Return a project with another epoch, and a cache that holds inputs alone."""
    cache = project.store.cache.resolve()
    (directory / "derived").mkdir(parents=True)
    (directory / "store").symlink_to(cache / "store")
    for kind in _LENT:
        (directory / "derived" / kind).symlink_to(cache / "derived" / kind)
    matrix = project.matrix.model_copy(update={"epoch": int(time.time())})
    return replace(project, matrix=matrix, store=Store(directory))
