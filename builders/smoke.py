"""The smoke session: one container of one image, tested, asked for vectors, and stopped."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from docker import DockerClient

from builders import containers, smoke_cell, smoke_results, vectors
from builders.check import Check, from_findings
from builders.containers import Container, ReadOnlyMount
from builders.corpus import Corpus
from builders.errors import EngineError, ProcessError, SmokeError
from builders.files import write_atomically
from builders.process import run
from builders.smoke_cell import SmokeCell
from builders.vectors import Vectors

SUITE = Path(__file__).resolve().parents[1] / "tests" / "smoke"
"""The tests: ordinary pytest files."""

LAST_LINES = 20
"""How many lines of a failed container's log its error shows."""

_PYTHON = "/usr/bin/python3"
_NO_TESTS_FAILED, _TESTS_FAILED = 0, 1


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Time limits in seconds, and how many texts are embedded at a time to see whether it matters.

    Attributes:
        ready: From the start to the loaded model.
        suite: All tests together.
        vectors: The corpus, once.
        stop: From SIGTERM to the end.
        batch_size: A padded batch of 32 takes minutes under emulation.
    """

    ready: int
    suite: int
    vectors: int
    stop: int
    batch_size: int


NATIVE = Patience(ready=60, suite=300, vectors=300, stop=15, batch_size=32)
EMULATED = Patience(ready=300, suite=900, vectors=600, stop=60, batch_size=8)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is proven.

    Attributes:
        digest: The image's manifest digest; the engine holds it already.
        cell: What the container must be.
        corpus: The texts to embed: all of them natively, the emulated subset under emulation.
        shell: A static busybox of the image's platform.
        records: A directory for the facts, the results and the logs; they are kept.
        patience: The time limits.
    """

    digest: str
    cell: SmokeCell
    corpus: Corpus
    shell: Path
    records: Path
    patience: Patience


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a session found.

    Attributes:
        checks: `smoke:…`, in the order in which they were made.
        alone: The vectors of the corpus over HTTP, one text a request.
        batched: The same texts' vectors from the backend inside the container, in batches.
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
    clock = _Clock()
    corpus_file = _write_records(subject)
    with (
        containers.start(
            client,
            subject.digest,
            platform=subject.cell.platform,
            run=run_id,
            mounts=(
                ReadOnlyMount(source=subject.shell, target=smoke_cell.SHELL),
                ReadOnlyMount(source=corpus_file, target=smoke_cell.CORPUS),
            ),
        ) as container,
        _log_kept(container, subject),
    ):
        with clock.step("ready"):
            note(f"waiting until it is ready ({subject.cell.execution})")
            _wait_until_ready(container, subject)
        with clock.step("tests"):
            note(f"smoke tests ({subject.cell.execution})")
            checks = _tested(container, subject, environment)
        with clock.step("vectors"):
            note(f"vectors of {len(subject.corpus.texts)} texts ({subject.cell.execution})")
            alone = _vectors(container, subject, ("client", "embed"))
            size = str(subject.patience.batch_size)
            batched = _vectors(container, subject, ("vectors", "--batch-size", size))
        with clock.step("stop"):
            changed = _disk_unchanged(container, subject)
            stopped = _stops(container, subject)
    return Proof(
        checks=(*checks, changed, stopped), alone=alone, batched=batched, seconds=clock.seconds
    )


def pytest_argv(subject: Subject, container: str) -> tuple[str, ...]:
    """Return the argument list that runs the tests against a container."""
    return (
        *(sys.executable, "-m", "pytest", str(SUITE)),
        # Only the plugins that the tests use: not whatever else is installed here.
        *("-p", "testinfra.plugin", "-p", "no:cacheprovider"),
        *(
            "--rootdir",
            str(SUITE.parents[1]),
            "--config-file",
            str(SUITE.parents[1] / "pyproject.toml"),
        ),
        *("--hosts", f"docker://{container}"),
        *("--equivec-cell", str(_facts(subject))),
        *("--equivec-results", str(_results(subject))),
        *("--verbose", "--tb", "short", "--color", "no"),
    )


def pytest_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the tests: the engine's, without a user's own pytest options."""
    own = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    return {**own, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@dataclass(kw_only=True)
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun


def _facts(subject: Subject) -> Path:
    return subject.records / "facts.json"


def _results(subject: Subject) -> Path:
    return subject.records / "results.jsonl"


def _log(subject: Subject) -> Path:
    return subject.records / "container.log"


def _write_records(subject: Subject) -> Path:
    """Write what the tests and the container read; return the file of texts."""
    subject.records.mkdir(parents=True, exist_ok=True)
    _results(subject).unlink(missing_ok=True)
    write_atomically(_facts(subject), subject.cell.model_dump_json(indent=2).encode() + b"\n")
    corpus_file = subject.records / "corpus.jsonl"
    write_atomically(corpus_file, subject.corpus.to_jsonl())
    return corpus_file


@contextmanager
def _log_kept(container: Container, subject: Subject) -> Iterator[None]:
    """Keep the container's log, however the block ends; an error shows its last lines."""
    try:
        yield
    except EngineError as error:
        # What a container that ended by itself did to the engine's command is no finding.
        if container.state().running:
            raise
        raise _failure(container, subject, "") from error
    except SmokeError as error:
        raise _failure(container, subject, error.problem) from error
    finally:
        write_atomically(_log(subject), container.logs(lines=10_000).encode())


def _failure(container: Container, subject: Subject, problem: str) -> SmokeError:
    state = container.state()
    ended = (
        ""
        if state.running
        else f"the container ended with exit status {state.exit_code}"
        f"{' (out of memory)' if state.out_of_memory else ''}"
    )
    lines = container.logs(lines=LAST_LINES).splitlines() or ["(it wrote nothing)"]
    tail = "\n".join(f"  | {line}" for line in lines)
    return SmokeError(
        f"{'; '.join(filter(None, (problem, ended)))} ({subject.cell.execution})\n{tail}",
        where=subject.cell.id,
        remedy=f"the whole log is in {_log(subject)}",
    )


def _wait_until_ready(container: Container, subject: Subject) -> None:
    limit = subject.patience.ready
    waited = container.execute(
        (_PYTHON, "-m", "embedding_service.client", "wait", "--timeout", str(limit)),
        # Longer than the client's own limit: beyond it, the client itself hangs.
        timeout=limit + subject.cell.seconds,
    )
    if waited.returncode != 0:
        raise SmokeError(f"it did not become ready: {waited.stderr.strip()}")


def _tested(
    container: Container, subject: Subject, environment: Mapping[str, str]
) -> tuple[Check, ...]:
    """Run the tests against the container; return their results."""
    log = subject.records / "pytest.log"
    try:
        completed = run(
            pytest_argv(subject, container.id),
            cwd=SUITE.parents[1],
            env=pytest_environment(environment),
            timeout=subject.patience.suite,
            check=False,
        )
    except ProcessError as error:
        done = [result.case for result in smoke_results.read(_results(subject))]
        raise SmokeError(
            f"the smoke tests: {error.problem}; the last one that ended was"
            f" {done[-1] if done else 'none'}"
        ) from error
    write_atomically(log, (completed.stdout + completed.stderr).encode())
    checks = smoke_results.checks(
        smoke_results.read(_results(subject)), execution=subject.cell.execution
    )
    failed = any(not check.passed for check in checks)
    expected = _TESTS_FAILED if failed else _NO_TESTS_FAILED
    if not checks or completed.returncode != expected:
        tail = "\n".join((completed.stdout + completed.stderr).splitlines()[-LAST_LINES:])
        raise SmokeError(f"the smoke tests did not run: exit status {completed.returncode}\n{tail}")
    return checks


def _vectors(container: Container, subject: Subject, command: tuple[str, ...]) -> Vectors:
    """Let the service's command embed the corpus in the container."""
    module, *words = command
    argv = (_PYTHON, "-m", f"embedding_service.{module}", *words, "--corpus", smoke_cell.CORPUS)
    embedded = container.execute(argv, timeout=subject.patience.vectors)
    if embedded.returncode != 0:
        raise SmokeError(
            f"exit status {embedded.returncode} from {' '.join(argv)}: {embedded.stderr.strip()}"
        )
    return vectors.parse(
        embedded.stdout, subject.corpus.ids, where=f"{subject.cell.id}, {' '.join(command)}"
    )


def _disk_unchanged(container: Container, subject: Subject) -> Check:
    """Look once more, now that the service has worked."""
    paths = smoke_cell.unexplained(change.path for change in container.diff())
    return from_findings("smoke:nothing-on-disk-changed-at-the-end", paths)


def _stops(container: Container, subject: Subject) -> Check:
    """Send SIGTERM: the service must end by itself, in time, with exit status 0."""
    begun = time.monotonic()
    status = container.stop(timeout=subject.patience.stop)
    seconds = time.monotonic() - begun
    return Check(
        name="smoke:stops-on-sigterm",
        passed=status == 0,
        figure=status,
        limit=0,
        details=(f"exit status {status} after {seconds:.1f} s ({subject.cell.execution})",),
    )
