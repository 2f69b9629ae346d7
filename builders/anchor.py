"""The anchor: whose float32 vectors all others of the same vector space are held against.

A container that agrees with its own host proves that the image is sound. That another library, or
another precision, is in the same vector space is a statement of its own: so each is compared with
one backend's vectors of the same weights on this host.
"""

from __future__ import annotations

from builders import plan
from builders.matrix import Matrix, Tolerance
from builders.plan import Cell
from builders.space import vector_space

PRECISION = "float32"


def of(matrix: Matrix, cell: Cell, host: str) -> Cell | None:
    """Return the cell whose host vectors a cell's are held against.

    Args:
        matrix: What there is.
        cell: Any cell.
        host: This machine's platform.

    Returns:
        None if the cell is the anchor itself, or there is none for its vector space.
    """
    if matrix.anchor is None:
        return None
    space = vector_space(matrix.models[cell.model])
    for name, model in matrix.models.items():
        if model.precision == PRECISION and vector_space(model) == space:
            found = plan.cell(matrix, matrix.anchor, name, host)
            if found.format is None or (found.backend, found.model) == (cell.backend, cell.model):
                return None
            return found
    return None


def tolerance(matrix: Matrix, cell: Cell) -> Tolerance:
    """Return what a cell's vectors may differ from the anchor's."""
    usual = matrix.tolerances[matrix.models[cell.model].precision]
    return matrix.backends[cell.backend].cross_backend.get(cell.model, usual)
