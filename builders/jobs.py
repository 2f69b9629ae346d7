"""The jobs of a distributed run: what each machine does of a plan, and what it needs for that."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from builders import anchor, upstream
from builders.matrix import Matrix
from builders.plan import Cell, Plan
from builders.pretrained.source import is_fetched


@dataclass(frozen=True, kw_only=True)
class Job:
    """One cell on one machine.

    Attributes:
        cell: Its id.
        platform: What it is for: such a machine proves it, or makes its reference vectors.
        models: What that machine has to fetch first.
    """

    cell: str
    platform: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageJob:
    """One image, for all its platforms, on one machine.

    Attributes:
        image: Its name in a publication's directory, `<backend>-<model>`.
        models: What that machine has to fetch first.
    """

    image: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Every job of a run, in the order of the plan.

    Attributes:
        build: Images to build, each once, all on one platform: it is a part of the digests.
        prove: Images to prove, each on a machine of its own platform.
        reference: Hosts' cells: the reference vectors of machines that run no images.
        rebuild: Published images to build again.
    """

    build: tuple[Job, ...]
    prove: tuple[Job, ...]
    reference: tuple[Job, ...]
    rebuild: tuple[ImageJob, ...]


def jobs(planned: Plan, matrix: Matrix) -> Jobs:
    """Return what machines of every platform do of a plan.

    A cell that is expected to be refused is nobody's job. One that is refused unexpectedly is: its
    job fails, with the reason.

    Args:
        planned: A plan that preflight was asked about.
        matrix: What it was made from.

    Raises:
        SmokeError: The API of a cell has nothing that could answer in its place.
    """
    asked = [
        cell
        for cell in planned.cells
        if cell.selected and cell.runner and not (cell.refused and cell.refusal_expected)
    ]
    images = [cell for cell in asked if cell.kind == "image"]
    return Jobs(
        build=tuple(_job(matrix, cell) for cell in images),
        prove=tuple(_job(matrix, cell, *_anchors(matrix, cell)) for cell in images),
        reference=tuple(_job(matrix, cell) for cell in asked if cell.kind == "host"),
        rebuild=tuple(
            dict.fromkeys(
                ImageJob(
                    image=f"{cell.backend}-{cell.model}", models=_fetched(matrix, [cell.model])
                )
                for cell in images
            )
        ),
    )


def to_lines(found: Jobs) -> str:
    """Return jobs as lines `NAME=JSON`: outputs of a step, for the matrices of other jobs."""
    lists = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    return "".join(f"{name}={_json(each)}\n" for name, each in lists.items())


def _json(found: Sequence[Job | ImageJob]) -> str:
    return json.dumps([dataclasses.asdict(job) for job in found], separators=(",", ":"))


def _job(matrix: Matrix, cell: Cell, *others: Cell) -> Job:
    """Return the job of a cell, for which other cells' models are needed too."""
    answering = upstream.cell_of(matrix, cell, cell.platform)
    needed = (cell, *others) if answering is None else (cell, answering, *others)
    return Job(
        cell=cell.id,
        platform=cell.platform,
        models=_fetched(matrix, [each.model for each in needed]),
    )


def _fetched(matrix: Matrix, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of the models that are fetched, each once."""
    return tuple(name for name in dict.fromkeys(names) if is_fetched(matrix.models[name]))


def _anchors(matrix: Matrix, cell: Cell) -> tuple[Cell, ...]:
    """Return the cell whose vectors a cell's are held against."""
    found = anchor.of(matrix, cell, cell.platform)
    return () if found is None else (found,)
