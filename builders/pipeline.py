"""The main job: from a plan to images, verdicts, and a publication."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from builders import anchor as anchors
from builders import (
    files,
    host,
    licences,
    model,
    preflight,
    process,
    proof,
    publication,
    stages,
    verdict,
)
from builders import outcome as outcomes
from builders.engine import Engine, connection, containers, run_mark
from builders.engine import images as engine_images
from builders.errors import EngineError, EquivecError, PreflightError, PublicationError
from builders.once import Once
from builders.outcome import Outcome
from builders.parallel import awaited
from builders.plan import Cell
from builders.project import Project
from builders.publication import PassedImage
from builders.report import Reporter
from builders.stages import Options, Shared
from builders.store import roomy
from builders.vectors import Vectors

_POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What became of the cells, and the engine that they ran on: none where none was worked on."""

    outcomes: tuple[Outcome, ...]
    engine: Engine | None

    @property
    def failed(self) -> bool:
        """Whether any cell did not pass."""
        return any(outcome.error is not None for outcome in self.outcomes)


def run(project: Project, cells: Sequence[Cell], options: Options, reporter: Reporter) -> Finished:
    """Bring cells from their inputs to their verdicts.

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
        return Finished(outcomes=tuple(refused[cell.id] for cell in cells), engine=None)
    with run_mark.mark(project.store.cache) as mark, ThreadPoolExecutor(options.jobs) as pool:
        found = pool.submit(stages.find_engine, project, reporter)
        results: dict[str, Future[Outcome]] = {}
        try:
            guess = host.build_platform()
            debian = stages.fetch(project, possible, guess, reporter)
            used = awaited(found)
            if used.native != guess:
                debian = stages.fetch(project, possible, used.native, reporter)
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
                results[cell.id] = pool.submit(_outcome, project, cell, shared, reporter)
            return Finished(
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


def publish(project: Project, finished: Finished, reporter: Reporter) -> Finished:
    """Publish the images that passed, take out those that did not, and name them in the engine.

    Returns:
        What became of the cells: one whose weights may not be handed on has failed now.

    Raises:
        PublicationError: The publication is damaged, or does not hold what was tested.
    """
    finished = _licensed(project, finished, reporter)
    passed = [
        PassedImage(
            name=outcome.cell.image,
            platform=outcome.cell.platform,
            layout=outcome.layout.directory,
            digest=outcome.verdict.subject.digest,
        )
        for outcome in finished.outcomes
        if outcome.error is None and outcome.layout and outcome.verdict
    ]
    withdrawn = [
        (outcome.cell.image, outcome.cell.platform)
        for outcome in finished.outcomes
        if outcome.error is not None or outcome.refused is not None
    ]
    with project.store.exclusive("publication"), roomy(project.publication):
        publication.publish(project.publication, passed, withdrawn)
    for tested in passed:
        found = publication.published_digest(project.publication, tested.name, tested.platform)
        if found != tested.digest:
            raise PublicationError(
                f"{found} is published, {tested.digest} was tested", where=tested.name
            )
    if not passed or finished.engine is None:
        return finished
    with connection.connect(finished.engine.environment) as client:
        for outcome in finished.outcomes:
            if outcome.error is None and outcome.layout:
                # Of an earlier run's images, the engine may have been cleaned since.
                digest = engine_images.load(client, outcome.layout)
                name = f"{outcome.cell.image}:{outcome.cell.platform.replace('/', '-')}"
                engine_images.tag(client, digest, name)
    return finished


def _licensed(project: Project, finished: Finished, reporter: Reporter) -> Finished:
    """Fail the cells that passed, and whose weights' licence was not accepted."""
    outcomes = []
    for outcome in finished.outcomes:
        error = licences.refusal(project.matrix, outcome.cell.model)
        if outcome.error is None and outcome.layout and error is not None:
            reporter.failed(outcome.cell.id, error)
            outcomes.append(replace(outcome, error=error))
        else:
            outcomes.append(outcome)
    return replace(finished, outcomes=tuple(outcomes))


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


def _outcome(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Outcome:
    """Work on one cell; what goes wrong is its outcome."""
    begun = time.monotonic()
    try:
        work = _host if cell.kind == "host" else _image
        with roomy(project.store.cache):
            outcome = work(project, cell, shared, reporter)
    except EquivecError as error:
        outcome = Outcome(cell=cell, error=error)
    outcome = replace(outcome, seconds=time.monotonic() - begun)
    if outcome.error is not None:
        reporter.failed(cell.id, outcome.error)
    else:
        reporter.passed(cell.id, "unchanged" if outcome.unchanged else "")
    return outcome


def _host(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Outcome:
    """Make the reference vectors of this host."""
    _begin(cell, "reference", reporter)
    stages.referenced(project, cell, shared, reporter)
    return Outcome(cell=cell)


def _image(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Outcome:
    """Build a cell's image and prove it, unless both were done before."""
    if cell.platform not in shared.engine.platforms:
        raise EngineError(
            f"the {shared.engine.kind} engine runs {', '.join(shared.engine.platforms)} only:"
            " this image could be built, and not tested",
            where=cell.id,
            remedy="register qemu for it (Debian's qemu-user-static), set engine: private in"
            " matrix.yaml, or leave it to a native machine (--platform)",
        )
    begun = time.monotonic()
    _begin(cell, "build", reporter)
    made = replace(
        stages.built(project, cell, shared, reporter),
        upstream=stages.upstream_image(project, cell, shared, reporter),
    )
    built_seconds = round(time.monotonic() - begun, 3)
    if made.drift:
        reporter.note(cell.id, f"drifted from its lock: {', '.join(made.drift)}")
    digest = made.layout.manifest_digest
    key = proof.key(
        project,
        cell,
        digest,
        shared.engine,
        drift=made.drift,
        upstream_digest=None if made.upstream is None else made.upstream.manifest_digest,
    )
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
                stage=lambda name: _begin(cell, name, reporter),
                note=lambda text: reporter.note(cell.id, text),
            )
        found = found.model_copy(update={"seconds": {"build": built_seconds, **found.seconds}})
        verdict.keep(found, project.store, key)
    verdict.write(found, project.verdicts)
    verdict.write_sbom(found, project.sboms)
    return Outcome(
        cell=cell,
        verdict=found,
        layout=made.layout,
        unchanged=earlier is not None,
        error=None if found.passed else outcomes.failure(cell, found),
    )


def _anchored(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Vectors | None:
    """Return the vectors of the anchor on this host, if that is another cell."""
    anchor = anchors.of(project.matrix, cell, host.current())
    return None if anchor is None else stages.referenced(project, anchor, shared, reporter)


def _begin(cell: Cell, stage: str, reporter: Reporter) -> None:
    process.refuse_when_shut_down()
    reporter.stage(cell.id, stage)
