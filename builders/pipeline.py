"""The main job: from a plan to images and the verdicts on them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from builders import anchor as anchors
from builders import host, proof, stages, upstream, verdict, work
from builders import outcome as outcomes
from builders.attestation.notary import Notary
from builders.engine import Engine, connection
from builders.errors import EngineError
from builders.inputs import Needs
from builders.outcome import Outcome
from builders.parcels import opening
from builders.parcels.opening import Parcels
from builders.plan import Cell
from builders.project import Project
from builders.report import Reporter
from builders.stages import Options, Shared
from builders.vectors import Vectors
from builders.work import Job


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What became of the cells.

    Attributes:
        engine: What they ran on; None where none was worked on.
        notary: Who says what was found.
        remarks: What people should know at the end, a line each.
        withdrawn: Name and platform of images that may not stay published, beside the failed.
    """

    outcomes: tuple[Outcome, ...]
    engine: Engine | None
    notary: Notary
    remarks: tuple[str, ...] = ()
    withdrawn: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any cell did not pass."""
        return any(outcome.error is not None for outcome in self.outcomes)


def run(project: Project, cells: Sequence[Cell], options: Options, reporter: Reporter) -> Finished:
    """Bring cells from their inputs to their verdicts.

    Raises:
        EngineError: There is no engine.
        FetchError: Inputs cannot be fetched.
        LockError: A lock is missing or malformed.
        SigningError: There is a key that cannot be used.
    """
    with reporter.step("signer") as step:
        notary = Notary.of(project, os.environ, step.note)
    done = work.do(project, cells, options, reporter, job(notary, options))
    return Finished(outcomes=done.outcomes, engine=done.engine, notary=notary)


def job(notary: Notary, options: Options) -> Job:
    """Return the job of bringing cells to their verdicts, or to this host's vectors."""

    def needs(project: Project, cells: Sequence[Cell], build_platform: str) -> Needs:
        wanted = stages.needs(project, cells, build_platform)
        return wanted if options.parcels is None else _for_proof(wanted, cells, options.parcels)

    def prove(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Outcome:
        if cell.kind == "host":
            return _host(project, cell, shared, reporter)
        return _image(project, cell, shared, notary, reporter)

    return Job(needs=needs, work=prove)


def _host(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Outcome:
    """Make the reference vectors of this host."""
    work.begin(cell, "reference", reporter)
    stages.referenced(project, cell, shared, reporter)
    return Outcome(cell=cell)


def _image(
    project: Project, cell: Cell, shared: Shared, notary: Notary, reporter: Reporter
) -> Outcome:
    """Build a cell's image and prove it, unless both were done before, and say what was found."""
    if cell.platform not in shared.engine.platforms:
        raise EngineError(
            f"the {shared.engine.kind} engine runs {', '.join(shared.engine.platforms)} only:"
            " this image could be built, and not tested",
            where=cell.id,
            remedy="register qemu for it (Debian's qemu-user-static), set engine: private in"
            " matrix.yaml, or leave it to a native machine (--platform)",
        )
    begun = time.monotonic()
    made = _made(project, cell, shared, reporter)
    got = {
        "build" if shared.options.parcels is None else "layout": round(time.monotonic() - begun, 3)
    }
    if made.drift:
        reporter.note(cell.id, f"drifted from its lock: {', '.join(made.drift)}")
    key = proof.key(project, cell, made, shared.engine)
    earlier = None if shared.options.reprove else verdict.find(project.store, key)
    if earlier is not None:
        found = earlier
    else:
        with connection.connect(shared.engine.environment) as client:
            found = proof.judge(
                project,
                cell,
                made,
                reference=lambda: stages.referenced(project, cell, shared, reporter),
                anchor=lambda: _anchored(project, cell, shared, reporter),
                engine=shared.engine,
                client=client,
                run=shared.run,
                stage=lambda name: work.begin(cell, name, reporter),
                note=lambda text: reporter.note(cell.id, text),
            )
        found = found.model_copy(update={"seconds": {**got, **found.seconds}})
        verdict.keep(found, project.store, key)
    work.begin(cell, "attest", reporter)
    found = notary.image(found, made.layout)
    return Outcome(
        cell=cell,
        verdict=found,
        layout=made.layout,
        unchanged=earlier is not None,
        error=None if found.passed else outcomes.failure(cell, found),
    )


def _made(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> proof.Image:
    """Return the image of a cell, with what answers in the place of its API: built, or handed on.

    Raises:
        LayoutError: It was to be handed on, and is not here, or is not what it should be.
    """
    parcels = shared.options.parcels
    own = upstream.cell_of(project.matrix, cell, cell.platform)
    if parcels is not None:
        work.begin(cell, "layout", reporter)
        wheels = stages.wheels_of(project, cell.backend, cell.platform, shared.toolchain, reporter)
        image = opening.image(project, cell, parcels.of(cell), wheels)
        return replace(image, upstream=None if own is None else parcels.of(own).layout)
    work.begin(cell, "build", reporter)
    image = stages.built(project, cell, shared, reporter)
    if own is None:
        return image
    answering = stages.built(project, own, shared, reporter, asked_by=cell)
    return replace(image, upstream=answering.layout)


def _for_proof(wanted: Needs, cells: Sequence[Cell], parcels: Parcels) -> Needs:
    """Return what is needed of images that were built elsewhere: only to be proved."""
    found = [parcels.by_cell[cell.id] for cell in cells if cell.id in parcels.by_cell]
    return replace(
        wanted,
        roots=(),
        compiled=frozenset(parcels.wheels),
        locks=tuple(parcel.debian for parcel in found),
    )


def _anchored(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Vectors | None:
    """Return the vectors of the anchor on this host, if that is another cell."""
    anchor = anchors.of(project.matrix, cell, host.current())
    return None if anchor is None else stages.referenced(project, anchor, shared, reporter)
