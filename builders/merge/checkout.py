"""What the checkout wants of a verdict that is to be merged."""

from __future__ import annotations

from builders import model, proof, recorded
from builders.errors import ModelError
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.merge.agreement import Wanted
from builders.plan import Cell
from builders.project import Project
from builders.rootfs.kept import BASE
from builders.space import vector_space
from builders.verdict import Verdict


def wanted(project: Project, cell: Cell, verdict: Verdict) -> Wanted:
    """Return what a cell's verdict has to say.

    Args:
        project: The checkout.
        cell: The cell.
        verdict: Says on which platform the image was built, and whether wheels were compiled.

    Raises:
        LockError: A lock is missing or malformed.
        ModelError: The backend reads no format of the model.
    """
    if cell.format is None:
        raise ModelError("no image can hold its model: the backend reads no format of it")
    entry = project.matrix.models[cell.model]
    return Wanted(
        cell=cell.id,
        image=cell.image,
        platform=cell.platform,
        suite=proof.suite(project),
        corpus=f"sha256:{proof.corpus(project, cell).digest}",
        vector_space=vector_space(entry),
        precision=entry.precision,
        dimension=entry.dimension,
        model=f"sha256:{model.recipe_digest(project, cell.model, cell.format)}",
        wheel_lock=wheel_lock.read(project.images / cell.backend, cell.platform).digest,
        debian_lock=debian_lock.read(project.images / BASE, cell.platform).digest,
        epoch=project.matrix.epoch,
        files=recorded.files(
            project,
            cell,
            verdict.environment.build_platform,
            compiled=bool(verdict.inputs.built_wheels),
        ),
    )
