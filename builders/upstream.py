"""Upstreams: the APIs that answer for models without weights here (`source: openai:NAME`).

Where a test needs the API and there is none, the image that the anchor makes of the model NAME
answers instead: it speaks the same interface.
"""

from __future__ import annotations

import json
from pathlib import Path

from builders import plan
from builders.errors import SmokeError
from builders.matrix import Matrix, Model
from builders.plan import Cell

SOURCE = "openai:"
FILE = "upstream.json"
"""In the model's directory: what the API calls the model."""


def name_of(model: Model) -> str | None:
    """Return what its API calls a model; None of a model that has weights."""
    return model.source.removeprefix(SOURCE) if model.source.startswith(SOURCE) else None


def write(model: Model, directory: Path) -> None:
    """Write the files of a model that an API serves, except model.json."""
    directory.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"model": name_of(model)}) + "\n"
    (directory / FILE).write_text(content, encoding="utf-8")


def cell_of(matrix: Matrix, cell: Cell, platform: str) -> Cell | None:
    """Return the anchor's cell that answers in the place of a cell's API.

    Args:
        matrix: What there is.
        cell: Any cell.
        platform: Of the cell to return.

    Returns:
        None if the cell's model has weights.

    Raises:
        SmokeError: Nothing here can answer.
    """
    name = name_of(matrix.models[cell.model])
    if name is None:
        return None
    if matrix.anchor is None or name not in matrix.models:
        raise SmokeError(
            f"nothing here can answer as {name}: it is no model of matrix.yaml,"
            " or there is no anchor to serve it",
            where=cell.id,
            remedy="the image can only be tested against a model that the anchor serves",
        )
    found = plan.cell(matrix, matrix.anchor, name, platform)
    if found.format is None:
        raise SmokeError(
            f"the anchor, {matrix.anchor}, has no format of {name}, and cannot answer as it",
            where=cell.id,
            remedy="name a model that the anchor reads",
        )
    return found
