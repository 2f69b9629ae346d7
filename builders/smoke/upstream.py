"""The container that answers in the place of an API: it shares its loopback with the tested one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from docker import DockerClient

from builders.engine import containers
from builders.engine.containers import Container
from builders.errors import EngineError, SmokeError
from builders.files import write_atomically
from builders.smoke.subject import Subject
from builders.smoke.suite import Records

PORT = 8081
"""Where it listens: the tested service has 8080."""

_ALL_LINES = 10_000


@contextmanager
def started(client: DockerClient, subject: Subject, run: str) -> Iterator[Container | None]:
    """Start what answers in the place of an API, and wait until it does.

    Args:
        client: The engine, which holds the image.
        subject: What asks the API, if it asks one: for others, nothing is started.
        run: The run that the container belongs to.

    Raises:
        SmokeError: It did not become ready.
        EngineError: The engine failed.
    """
    if subject.upstream is None:
        yield None
        return
    log = Records(directory=subject.records).upstream_log
    with containers.start(
        client,
        subject.upstream,
        platform=subject.cell.platform,
        run=run,
        environment={**subject.environment, "EMBEDDING_SERVER_PORT": str(PORT)},
    ) as container:
        try:
            problem = _wait(container, subject)
            if problem:
                raise SmokeError(
                    "the container that is to answer as the API did not become ready: " + problem,
                    where=subject.cell.id,
                    remedy=f"its log is in {log}; test the cell of its own image first",
                )
            yield container
        finally:
            write_atomically(log, container.logs(lines=_ALL_LINES).encode())


def address(subject: Subject) -> Mapping[str, str]:
    """Return what a service that asks an API (the format openai) is told of it."""
    if subject.upstream is None:
        return {}
    return {
        "EMBEDDING_OPENAI_BASE_URL": f"http://127.0.0.1:{PORT}/v1",
        "EMBEDDING_OPENAI_TIMEOUT": str(subject.cell.seconds),
    }


def _wait(container: Container, subject: Subject) -> str:
    """Wait until the model is loaded; return what went wrong, or nothing."""
    limit = subject.patience.ready
    argv = ("/usr/bin/python3", "-m", "embedding_service.client", "wait", "--timeout", str(limit))
    try:
        waited = container.execute(argv, timeout=limit + subject.cell.seconds)
    except EngineError:
        # No command can be run in a container that has ended.
        if container.state().running:
            raise
        return "it has ended"
    if waited.returncode == 0:
        return ""
    # A command that says nothing was killed, together with its container.
    return waited.stderr.strip().rpartition("\n")[2] or "it has ended"
