"""The smoke session: one container of one image, tested, asked for vectors, and stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from docker import DockerClient

from builders import vectors
from builders.check import Check
from builders.engine import containers
from builders.engine.containers import Container, ReadOnlyMount, State
from builders.errors import EngineError, SmokeError
from builders.files import write_atomically
from builders.smoke import cell as smoke_cell
from builders.smoke import suite as smoke_suite
from builders.smoke import upstream as upstreams
from builders.smoke.subject import Subject
from builders.smoke.suite import Records
from builders.timing import Parts
from builders.vectors import Vectors

SETTLING_SECONDS = 1.0
"""How long a busy engine may take to see that a container has ended."""

LAST_LINES = 20
"""How many lines of a failed container's log its error shows."""

_ALL_LINES = 10_000
_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a session found.

    Attributes:
        checks: `smoke:…`, in the order in which they were made.
        alone: The vectors of the corpus over HTTP, one input a request.
        batched: The same inputs' vectors from the backend inside the container, in batches.
        seconds: How long each step took.
    """

    checks: tuple[Check, ...]
    alone: Vectors
    batched: Vectors
    seconds: Mapping[str, float]


def prove(
    client: DockerClient,
    subject: Subject,
    *,
    run_id: str,
    environment: Mapping[str, str],
    note: Callable[[str], None],
) -> Proof:
    """Start a container of the image, test it, take its vectors, stop and remove it.

    Args:
        client: The engine.
        subject: The image, and what it must be.
        run_id: The run that the container belongs to.
        environment: The environment in which `docker` uses the engine.
        note: Told what happens.

    Raises:
        SmokeError: The container ended, did not become ready, hangs, or gives no vectors. The
            message holds its last log lines; the whole log is among the records.
        ReferenceVectorsError: Its vectors are unusable.
        EngineError: The engine failed.
    """
    execution = subject.cell.execution
    steps = Parts()
    with _container(client, subject, run_id) as container:
        with steps.timed("ready"):
            note(f"waiting until the container is ready ({execution})")
            _wait_until_ready(container, subject)
        ready = readiness(steps.seconds["ready"], limit=subject.patience.ready, execution=execution)
        with steps.timed("tests"):
            note(f"smoke tests ({execution})")
            tested = smoke_suite.judge(
                container.id,
                Records(directory=subject.records),
                execution=execution,
                environment=environment,
                timeout=subject.patience.suite,
            )
        with steps.timed("vectors"):
            note(f"vectors of {len(subject.corpus.ids)} inputs ({execution})")
            alone = _vectors(container, subject, "client", "embed")
            batch_size = str(subject.patience.batch_size)
            batched = _vectors(container, subject, "vectors", "--batch-size", batch_size)
        with steps.timed("stop"):
            changed = _nothing_on_disk_changed(container, execution)
            stopped = _stops_on_sigterm(container, subject)
    return Proof(
        checks=(ready, *tested, changed, stopped),
        alone=alone,
        batched=batched,
        seconds=steps.seconds,
    )


def readiness(seconds: float, *, limit: float, execution: str) -> Check:
    """Check that the container was ready in time, counted from its start.

    What never becomes ready is an error before that: nothing else can be said of it.
    """
    return Check(
        name="smoke:ready",
        passed=seconds <= limit,
        figure=seconds,
        limit=limit,
        details=(f"{execution}, seconds",),
    )


@contextmanager
def _container(client: DockerClient, subject: Subject, run_id: str) -> Iterator[Container]:
    """Start the container; keep its log and remove it, however the block ends."""
    records = Records(directory=subject.records)
    cell = subject.cell
    write_atomically(records.facts, cell.model_dump_json(indent=2).encode() + b"\n")
    write_atomically(records.corpus, subject.corpus.to_jsonl())
    mounts = (
        ReadOnlyMount(source=subject.shell.absolute(), target=smoke_cell.SHELL),
        ReadOnlyMount(source=records.corpus.absolute(), target=smoke_cell.CORPUS),
    )
    with (
        upstreams.started(client, subject, run_id) as upstream,
        containers.start(
            client,
            subject.digest,
            platform=cell.platform,
            run=run_id,
            mounts=mounts,
            environment={**subject.environment, **upstreams.address(subject)},
            network_of=upstream,
        ) as container,
    ):
        try:
            yield container
        except SmokeError as error:
            raise _failure(container, subject, error.problem) from error
        except EngineError as error:
            # No command can be run in a container that has ended: that it has is the finding.
            if _settled(container).running:
                raise
            raise _failure(container, subject, "") from error
        finally:
            write_atomically(records.log, container.logs(lines=_ALL_LINES).encode())


def _failure(container: Container, subject: Subject, problem: str) -> SmokeError:
    """Return what went wrong together with how the container is and what it wrote last."""
    state = _settled(container)
    ended = "" if state.running else f"the container ended with exit status {state.exit_code}"
    memory = "it ran out of memory" if state.out_of_memory else ""
    lines = container.logs(lines=LAST_LINES).splitlines() or ["(it wrote nothing)"]
    return SmokeError(
        "\n".join(
            (
                f"{'; '.join(filter(None, (problem, ended, memory)))} ({subject.cell.execution})",
                *(f"  | {line}" for line in lines),
            )
        ),
        where=subject.cell.id,
        remedy=f"the whole log is in {Records(directory=subject.records).log}",
    )


def _settled(container: Container) -> State:
    """Return how the container is; one that is about to end is called running for a moment."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while (state := container.state()).running and time.monotonic() < deadline:
        time.sleep(0.1)
    return state


def _wait_until_ready(container: Container, subject: Subject) -> None:
    """Wait until the model is loaded.

    Raises:
        SmokeError: The time is over, or the container has ended.
    """
    limit = subject.patience.ready
    waited = container.execute(
        (_PYTHON, "-m", "embedding_service.client", "wait", "--timeout", str(limit)),
        # The client keeps its limit, unless it is the client that hangs.
        timeout=limit + subject.cell.seconds,
    )
    if waited.returncode != 0:
        raise SmokeError("it did not become ready" + _reason(waited.stderr))


def _vectors(container: Container, subject: Subject, command: str, *words: str) -> Vectors:
    """Let one of the service's commands embed the corpus in the container."""
    argv = (_PYTHON, "-m", f"embedding_service.{command}", *words, "--corpus", smoke_cell.CORPUS)
    embedded = container.execute(argv, timeout=subject.patience.vectors)
    if embedded.returncode != 0:
        raise SmokeError(
            f"exit status {embedded.returncode} from embedding_service.{command}"
            + _reason(embedded.stderr)
        )
    where = f"{subject.cell.id}, embedding_service.{command} in the container"
    return vectors.parse(embedded.stdout, subject.corpus.ids, where=where)


def _reason(stderr: str) -> str:
    """Return the last line of what a command complained of, if it did."""
    lines = stderr.strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _nothing_on_disk_changed(container: Container, execution: str) -> Check:
    """Look at the disk once more, now that the service has worked."""
    changed = smoke_cell.unexplained(change.path for change in container.diff())
    return Check(
        name="smoke:nothing-on-disk-changed-at-the-end",
        passed=not changed,
        details=(execution, *changed),
    )


def _stops_on_sigterm(container: Container, subject: Subject) -> Check:
    """Ask the service to end: it must do so by itself, in time, with exit status 0."""
    begun = time.monotonic()
    status = container.stop(timeout=subject.patience.stop)
    seconds = time.monotonic() - begun
    return Check(
        name="smoke:stops-on-sigterm",
        passed=status == 0,
        figure=status,
        limit=0,
        details=(f"{subject.cell.execution}, {seconds:.1f} s",),
    )
