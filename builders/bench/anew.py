"""Builds of which nothing was there before: a fresh engine, and inputs composed anew."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders import build, engine, host, image, inputs, list_file, model, rootfs
from builders import plan as plans
from builders.engine import Engine
from builders.engine import configuration as engine_configuration
from builders.engine import private as private_engine
from builders.formats import layout
from builders.formats.layout import Layout
from builders.image import Base, Root
from builders.inputs import Needs
from builders.lock import debian as debian_lock
from builders.plan import Cell
from builders.project import Project
from builders.selection import Selection

Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Made:
    """An image, and how long it took from its locked inputs."""

    layout: Layout
    seconds: float


def image_cells(project: Project) -> tuple[Cell, ...]:
    """Return the cells of the default selection that yield images here."""
    planned = plans.plan(project.matrix, Selection(), host.current())
    return tuple(cell for cell in plans.runnable(planned) if cell.kind == "image")


@contextlib.contextmanager
def fresh_engine(project: Project, scratch: Path, note: Note) -> Iterator[Engine]:
    """Yield an engine that has built nothing; it is stopped when the block is left.

    Where the machine's own engine is used for builds, it is yielded, with the caches it has: for
    those, `Made` depends on BuildKit's `--no-cache` and a new epoch alone.
    """
    cache = project.store.cache
    programs = None
    if not private_engine.reasons_against():
        # Of the user's cache, so that they are not downloaded once more.
        private_engine.prepare(cache, note=note)
        programs = engine_configuration.places(cache).packages
    own = scratch / "engine-cache"
    try:
        yield engine.find(own, named=project.matrix.engine, note=note, packages=programs)
    finally:
        engine.stop(own, packages=programs)


def fetch(project: Project, cells: Sequence[Cell], build_platform: str) -> None:
    """Bring every input of the cells' images into the store, so that no build waits for it."""
    needs = Needs(
        roots=tuple(dict.fromkeys([build_platform, *(cell.platform for cell in cells)])),
        wheels=tuple(dict.fromkeys((cell.backend, cell.platform) for cell in cells)),
    )
    inputs.fetch(project, needs, progress=lambda _done, _total: None)
    inputs.root(project, build_platform)
    for cell in cells:
        inputs.wheels(project, cell.backend, cell.platform)
        model.directory(project, cell.model, cell.format)


def make(project: Project, cell: Cell, used: Engine, directory: Path, epoch: int) -> Made:
    """Make a cell's image from its fetched inputs, without any cache.

    Args:
        project: Says what goes in; its store is read, and nothing is put there.
        cell: Whose image.
        used: Builds it.
        directory: Does not exist yet; holds everything that is made.
        epoch: The newest time in the image.

    Raises:
        BuildError: The build failed.
    """
    build_root = inputs.root(project, used.native)
    wheels = inputs.wheels(project, cell.backend, cell.platform)
    model_directory = model.directory(project, cell.model, cell.format)
    directory.mkdir(parents=True)
    begun = time.perf_counter()
    root = _root(project, cell.platform, directory / "root", epoch)
    base = image.base_recipe(
        project.images, platform=cell.platform, root=root, build_root=build_root, epoch=epoch
    )
    recipe = image.backend_recipe(
        project.images,
        name=cell.image,
        platform=cell.platform,
        backend=(cell.backend, project.matrix.backends[cell.backend]),
        model=(cell.model, project.matrix.models[cell.model]),
        base=Base(layout=_build(base, used, directory / "base"), lock=root.lock),
        build_root=build_root,
        wheels=wheels,
        model_directory=model_directory,
        epoch=epoch,
    )
    built = _build(recipe, used, directory / "image")
    return Made(layout=built, seconds=time.perf_counter() - begun)


def _root(project: Project, platform: str, directory: Path, epoch: int) -> Root:
    base = project.images / "base"
    lock = debian_lock.read(base, platform)
    digest = rootfs.write_base_layout(
        [project.store.path(package.sha256) for package in lock.root],
        platform=platform,
        prune=list_file.read(base / "prune.txt"),
        epoch=epoch,
        directory=directory,
    )
    return Root(directory=directory, digest=digest, lock=lock.digest)


def _build(recipe: build.Recipe, used: Engine, directory: Path) -> Layout:
    build.build(recipe, used, directory, note=lambda _text: None, use_cache=False)
    layout.remove_ingest(directory)
    return layout.read(directory)
