"""A change to the service's code: every image of the default selection is built again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from builders import host, model, stages
from builders import plan as plans
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.once import Once
from builders.plan import Cell
from builders.project import Project
from builders.proof import Image
from builders.report import Reporter
from builders.selection import Selection
from builders.stages import Options, Shared
from builders.store import remove_tree

JOBS = 2
"""As many at a time as `nox -s build-matrix` works on unless it is told otherwise."""

REPETITIONS = 3

CHANGED = Path("service", "embedding_service", "app.py")
"""The file of the service that is changed, in images/."""


def service_change(bench: Bench) -> tuple[Figure, ...]:
    """Change the service again and again; time the builds of all images that hold it."""
    project = bench.project
    cells = image_cells(project)
    engine = stages.find_engine(project, bench.reporter)
    shared = Shared(
        engine=engine,
        run="",  # no container is started
        options=Options(jobs=JOBS, rebuild=False, reprove=False),
        debian=stages.fetch(project, cells, engine.native, bench.reporter),
        bases=Once(),
        references=Once(),
    )
    before = _built(project, cells, shared, bench.reporter)
    changed = changed_copy(project, bench.scratch / "checkout")
    samples = []
    for _ in range(REPETITIONS):
        change(changed)
        begun = time.perf_counter()
        images = _built(changed, cells, shared, bench.reporter)
        samples.append(time.perf_counter() - begun)
        for old, new in zip(before, images, strict=True):
            if new.layout.directory != old.layout.directory:
                remove_tree(new.layout.directory)
    return (median("seconds", samples, subject=f"{len(cells)} images"),)


def image_cells(project: Project) -> tuple[Cell, ...]:
    """Return the cells of the default selection that yield images here."""
    planned = plans.without(
        plans.plan(project.matrix, Selection(), host.current()), model.absent(project)
    )
    return tuple(cell for cell in plans.runnable(planned) if cell.kind == "image")


def changed_copy(project: Project, root: Path) -> Project:
    """Return a project whose images/ is a copy that may be changed."""
    shutil.copytree(project.images, root / "images", ignore=shutil.ignore_patterns("__pycache__"))
    return replace(project, root=root)


def change(project: Project) -> None:
    """Change the service as never before."""
    with (project.images / CHANGED).open("a", encoding="utf-8") as file:
        file.write(f"# {time.time_ns()}\n")


def _built(
    project: Project, cells: Sequence[Cell], shared: Shared, reporter: Reporter
) -> tuple[Image, ...]:
    with ThreadPoolExecutor(JOBS) as pool:
        return tuple(pool.map(lambda cell: stages.built(project, cell, shared, reporter), cells))
