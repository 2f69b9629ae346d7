"""Cells: the units of work, one backend with one model for one platform."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from builders.matrix import Matrix


@dataclass(frozen=True, kw_only=True)
class CellName:
    """What tells a cell from all others."""

    backend: str
    model: str
    platform: str

    @property
    def id(self) -> str:
        """`<backend>-<model>-<os>-<arch>`."""
        return f"{self.backend}-{self.model}-{self.platform.replace('/', '-')}"


def names(matrix: Matrix) -> tuple[CellName, ...]:
    """Return every cell of a matrix, in the file's order."""
    return tuple(
        CellName(backend=backend, model=model, platform=platform)
        for backend, model, platform in itertools.product(
            matrix.backends, matrix.models, matrix.platforms
        )
    )
