"""The plan: every cell of the matrix, and why some are left out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from builders import selection as selections
from builders.cell import CellName
from builders.errors import SelectionError
from builders.matrix import Format, Matrix
from builders.selection import Selection

SCHEMA_VERSION = 1
"""Of the JSON document; docs/plan.md says when it changes."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A unit of work, and whether it is done here and now."""

    id: str
    """`<backend>-<model>-<os>-<arch>`."""
    backend: str
    model: str
    platform: str
    kind: Literal["image", "host"]
    """What it yields: an image, or (on that very host) reference vectors."""
    image: str
    """`<prefix>/<backend>-<model>`: the image, or the one whose reference it yields."""
    format: Format | None
    """The model's file format; None where backend and model have none in common."""
    runner: str | None
    """The platform of the machine that does it without emulation; None where none can."""
    native: bool
    """Whether this host is of the cell's architecture: containers are not emulated."""
    selected: bool
    """Whether the selection asks for it."""
    left_out: str | None
    """Why it is not done, in words; None where it is."""
    refusal_expected: bool = False
    """Whether matrix.yaml expects its locks to refuse it."""
    refused: str | None = None
    """Why its locks refuse it, once preflight was asked; None where they do not."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every cell of the matrix, in the file's order."""

    host: str
    """The platform of the machine that the plan is for."""
    cells: tuple[Cell, ...]

    @property
    def chosen(self) -> tuple[Cell, ...]:
        """The cells that are not left out."""
        return tuple(cell for cell in self.cells if cell.left_out is None)

    def is_absent(self, cell: Cell) -> bool:
        """Tell whether a cell is asked for that only another host can do: its vectors may come."""
        elsewhere = cell.kind == "host" and cell.platform != self.host
        return elsewhere and cell.selected and bool(cell.runner) and not cell.refusal_expected


def plan(matrix: Matrix, selection: Selection, host: str) -> Plan:
    """Expand a matrix into cells.

    Args:
        matrix: What there is.
        selection: What is asked for.
        host: This machine's platform, as `host.current()` gives it.

    Raises:
        SelectionError: The selection names something unknown, or matches no cell.
    """
    reasons = selections.reasons(selection, matrix)
    cells = tuple(_cell(matrix, name, reason, host) for name, reason in reasons.items())
    return Plan(host=host, cells=cells)


def cell(matrix: Matrix, backend: str, model: str, platform: str) -> Cell:
    """Return one cell, whether anything selects it or not."""
    return _cell(matrix, CellName(backend=backend, model=model, platform=platform), None, platform)


def without(planned: Plan, absent: Mapping[str, str]) -> Plan:
    """Leave out the cells of models that are not here.

    Args:
        planned: A plan.
        absent: Those models, each with the reason.
    """
    return dataclasses.replace(
        planned,
        cells=tuple(
            dataclasses.replace(cell, left_out=cell.left_out or absent.get(cell.model))
            for cell in planned.cells
        ),
    )


def of_images(planned: Plan, reason: str) -> Plan:
    """Leave out the hosts' cells, which have no image, for a reason."""
    return dataclasses.replace(
        planned,
        cells=tuple(
            cell
            if cell.kind == "image"
            else dataclasses.replace(cell, left_out=cell.left_out or reason)
            for cell in planned.cells
        ),
    )


def runnable(planned: Plan) -> tuple[Cell, ...]:
    """Return the cells that are to be done.

    Raises:
        SelectionError: None of the selected cells can be done here.
    """
    if not planned.chosen:
        lines = "\n  ".join(
            f"{cell.id}: {cell.left_out}" for cell in planned.cells if cell.selected
        )
        raise SelectionError(
            f"none of the selected cells can run here\n  {lines}",
            where="selection",
            remedy="select others; `nox -s plan -- --all` shows every cell",
        )
    return planned.chosen


def to_json(planned: Plan) -> str:
    """Return the plan as the document that docs/plan.md describes."""
    document = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(planned)}
    return json.dumps(document, indent=2) + "\n"


def _cell(matrix: Matrix, name: CellName, not_selected: str | None, host: str) -> Cell:
    kind: Literal["image", "host"] = "image" if name.platform.startswith("linux/") else "host"
    wanted = matrix.backends[name.backend].formats
    offered = matrix.models[name.model].formats
    file_format = next((each for each in wanted if each in offered), None)
    impossible = _impossible(matrix, name, file_format)
    elsewhere = (
        f"a {name.platform} host is needed; this is {host}"
        if kind == "host" and name.platform != host
        else None
    )
    return Cell(
        id=name.id,
        backend=name.backend,
        model=name.model,
        platform=name.platform,
        kind=kind,
        image=f"{matrix.prefix}/{name.backend}-{name.model}",
        format=file_format,
        runner=None if impossible else name.platform,
        native=name.platform.partition("/")[2] == host.partition("/")[2],
        selected=not_selected is None,
        left_out=impossible or elsewhere or not_selected,
        refusal_expected=not impossible and name.platform in matrix.backends[name.backend].refused,
    )


def _impossible(matrix: Matrix, name: CellName, file_format: Format | None) -> str | None:
    """Return why no machine can do a cell."""
    backend = matrix.backends[name.backend]
    if name.platform not in backend.platforms:
        listed = ", ".join(backend.platforms)
        return f"{name.backend} is not for {name.platform}: matrix.yaml lists {listed}"
    if name.model in backend.not_for:
        return f"{name.backend} is not for {name.model}: {backend.not_for[name.model]}"
    if file_format is None:
        read = ", ".join(backend.formats)
        return f"no common format: {name.backend} reads {read}, and the model is in no such one"
    return None
