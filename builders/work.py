"""Work on cells: several at the same time, each with an outcome, and one engine for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from builders import anchor as anchors
from builders import files, host, model, preflight, process, stages
from builders.engine import Engine, connection, containers, run_mark
from builders.errors import EngineError, EquivecError, PreflightError
from builders.inputs import Needs
from builders.once import Once
from builders.outcome import Outcome
from builders.parallel import awaited
from builders.plan import Cell
from builders.project import Project
from builders.report import Reporter
from builders.stages import Options, Shared
from builders.store import roomy

_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is done with cells.

    Attributes:
        needs: Returns what is to be fetched for cells, given the build platform.
        work: Does it with one of them.
    """

    needs: Callable[[Project, Sequence[Cell], str], Needs]
    work: Callable[[Project, Cell, Shared, Reporter], Outcome]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of the cells, and the engine that they ran on: none where none was worked on."""

    outcomes: tuple[Outcome, ...]
    engine: Engine | None


def do(
    project: Project, cells: Sequence[Cell], options: Options, reporter: Reporter, job: Job
) -> Done:
    """Do a job with cells.

    Every cell has an outcome: one that fails does not keep the others from going on.

    Raises:
        EngineError: There is no engine.
        FetchError: Inputs cannot be fetched.
        LockError: A lock is missing or malformed.
    """
    project.store.sweep()
    files.sweep(project.root / "dist")
    project = _with_what_is_here(project, cells, reporter)
    asked = {cell.id: _preflight(project, cell, reporter) for cell in cells}
    refused = {name: outcome for name, outcome in asked.items() if outcome is not None}
    possible = [cell for cell in cells if cell.id not in refused]
    if not possible:
        return Done(outcomes=tuple(refused[cell.id] for cell in cells), engine=None)
    with run_mark.mark(project.store.cache) as mark, ThreadPoolExecutor(options.jobs) as pool:
        found = pool.submit(stages.find_engine, project, reporter)
        results: dict[str, Future[Outcome]] = {}
        try:
            guess = host.build_platform()
            debian = stages.bring(project, job.needs(project, possible, guess), reporter)
            used = awaited(found)
            if used.native != guess:
                debian = stages.bring(project, job.needs(project, possible, used.native), reporter)
            with connection.connect(used.environment) as client:
                containers.sweep(client, project.store.cache)
            shared = Shared(
                engine=used,
                run=mark.id,
                options=options,
                debian=debian,
                bases=Once(),
                references=Once(),
            )
            for cell in possible:
                results[cell.id] = pool.submit(_outcome, project, cell, shared, reporter, job)
            return Done(
                engine=used,
                outcomes=tuple(
                    awaited(results[cell.id]) if cell.id in results else refused[cell.id]
                    for cell in cells
                ),
            )
        except BaseException:
            process.shut_down()
            pool.shutdown(wait=False, cancel_futures=True)
            _end_work(found, tuple(results.values()), mark.id)
            raise


def begin(cell: Cell, stage: str, reporter: Reporter) -> None:
    """Tell which stage a cell is at, unless the run is being stopped."""
    process.refuse_when_shut_down()
    reporter.stage(cell.id, stage)


def _with_what_is_here(project: Project, cells: Sequence[Cell], reporter: Reporter) -> Project:
    """Return the checkout without the models that were not fetched, and tell what that costs."""
    missing = model.absent(project)
    for cell in cells:
        anchor = anchors.of(project.matrix, cell, host.current())
        if anchor is not None and anchor.model in missing:
            reporter.note(cell.id, f"not held against {anchor.id}, which {missing[anchor.model]}")
    return model.present(project, missing)


def _preflight(project: Project, cell: Cell, reporter: Reporter) -> Outcome | None:
    """Return the outcome of a cell that cannot exist, from its locks alone; None if it can."""
    answer = preflight.judge(project.images, cell.backend, cell.platform)
    reasons = "; ".join(answer.reasons)
    if reasons and cell.refusal_expected:
        reporter.refused(cell.id, reasons)
        return Outcome(cell=cell, refused=reasons)
    if reasons:
        error = PreflightError(reasons, where=cell.id)
        reporter.failed(cell.id, error)
        return Outcome(cell=cell, error=error)
    if cell.refusal_expected:
        reporter.note(cell.id, preflight.became_possible(cell))
    for line in answer.how:
        reporter.note(cell.id, line)
    return None


def _end_work(found: Future[Engine], work: Sequence[Future[Outcome]], run: str) -> None:
    """Bring threads to their end: what they wait for is a program, or in a container."""
    if found.cancelled() or found.exception():  # waits
        return
    # An engine that is gone runs no container.
    with suppress(EngineError), connection.connect(found.result().environment) as client:
        unfinished = True
        while unfinished:
            # A thread may have been about to start one: the last look is after the last thread.
            unfinished = not all(future.done() for future in work)
            containers.remove_all(client, run)
            if unfinished:
                time.sleep(_POLL_SECONDS)


def _outcome(project: Project, cell: Cell, shared: Shared, reporter: Reporter, job: Job) -> Outcome:
    """Work on one cell; what goes wrong is its outcome."""
    begun = time.monotonic()
    try:
        with roomy(project.store.cache):
            outcome = job.work(project, cell, shared, reporter)
    except EquivecError as error:
        outcome = Outcome(cell=cell, error=error)
    outcome = replace(outcome, seconds=time.monotonic() - begun)
    if outcome.error is not None:
        reporter.failed(cell.id, outcome.error)
    else:
        reporter.passed(cell.id, outcome.remark)
    return outcome
