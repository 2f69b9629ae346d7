"""What this host returns for the corpus, ready to travel."""

from __future__ import annotations

import json
from collections.abc import Sequence

from builders import host, model, plan, reference, stages, upstream
from builders.errors import SelectionError
from builders.files import digest_of, sha256_of, tree_digests
from builders.inputs import Needs
from builders.lock import wheels as wheel_lock
from builders.plan import Cell, Plan
from builders.project import Project
from builders.references.file import MadeFrom, Reference
from builders.report import Reporter
from builders.wheelhouse.gather import Toolchain


def cells(project: Project, planned: Plan) -> tuple[Cell, ...]:
    """Return what this host can make vectors of, among what a selection asks for.

    The cells of other platforms stand for their backends and models. What is expected to be refused
    by its locks is left out.

    Raises:
        SelectionError: There is nothing.
    """
    absent = model.absent(project)
    names = dict.fromkeys(
        (cell.backend, cell.model)
        for cell in planned.cells
        if cell.selected and cell.model not in absent
    )
    here = (plan.cell(project.matrix, *name, host.current()) for name in names)
    found = tuple(cell for cell in here if not (cell.left_out or cell.refusal_expected))
    if not found:
        raise SelectionError(
            f"{host.current()} can make no vectors of what is selected",
            where="selection",
            remedy="select others; `nox -s plan -- --all` shows every cell",
        )
    return found


def toolchain(project: Project, wanted: Sequence[Cell], reporter: Reporter) -> Toolchain:
    """Fetch what the vectors of cells are made with, and return what builds wheels.

    Raises:
        FetchError: Inputs cannot be fetched.
        LockError: A lock is missing or malformed.
    """
    here = host.current()
    backends = dict.fromkeys(own(project, cell).backend for cell in wanted)
    needs = Needs(
        roots=(),
        wheels=tuple((backend, here) for backend in backends),
        build_platform=host.build_platform(),
    )
    locks = stages.bring(project, needs, reporter)
    return Toolchain(lock=locks.toolchain, engine=lambda: stages.find_engine(project, reporter))


def make(project: Project, cell: Cell, tools: Toolchain, reporter: Reporter) -> Reference:
    """Return this host's vectors of a cell's backend and model, ready to travel.

    Raises:
        LockError: A lock is missing or malformed.
        ModelError: The model is not what its lock says.
        ReferenceVectorsError: The vectors cannot be made.
    """
    maker = own(project, cell)
    python = stages.host_python(project, maker.backend, tools, reporter)
    document = reference.document(project, maker, python)
    return Reference(
        cell=cell.id,
        platform=cell.platform,
        processor=host.processor(),
        made_from=made_from(project, cell, cell.platform),
        vectors=json.loads(document.read_bytes()),
    )


def made_from(project: Project, cell: Cell, platform: str) -> MadeFrom:
    """Return what decides a cell's vectors on a host of a platform, by this checkout.

    Raises:
        LockError: A lock is missing or malformed.
        ModelError: The model is not what its lock says.
    """
    maker = own(project, cell)
    folder = project.images / maker.backend
    return MadeFrom(
        corpus=f"sha256:{reference.corpus(project, maker).digest}",
        model=model.directory(project, maker.model, maker.format).digest,
        wheels=wheel_lock.read(folder, platform).digest,
        backend=f"sha256:{sha256_of(folder / 'backend.py')}",
        service=digest_of(dict(tree_digests(project.images / "service"))),
    )


def own(project: Project, cell: Cell) -> Cell:
    """Return the cell whose vectors are a cell's: of an API's model, what answers in its place."""
    return upstream.cell_of(project.matrix, cell, cell.platform) or cell
