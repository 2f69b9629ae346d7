"""Containers that can do no harm: without network, rights, or anything to write to.

Everything here has a time limit: a process that crashed under emulation hangs instead of ending.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from docker import DockerClient
from docker.errors import DockerException
from docker.models.containers import Container as DockerContainer
from docker.types import Mount
from requests import RequestException

from builders.engine.connection import ANSWER_SECONDS, engine_errors, gone_already
from builders.engine.run_mark import ended_runs, forget
from builders.errors import SmokeError

RUN_LABEL = "equivec.run"
"""Its value is the run that a container belongs to."""

_KINDS: tuple[Literal["modified", "added", "deleted"], ...] = ("modified", "added", "deleted")
"""By the engine's numbers for them."""


@dataclass(frozen=True, kw_only=True)
class ReadOnlyMount:
    """A file or directory of the host that a container sees and cannot change."""

    source: Path
    target: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a container may use at most; nothing is limited where it says None."""

    memory_bytes: int | None = None
    cpus: float | None = None


@dataclass(frozen=True, kw_only=True)
class Executed:
    """What a process in a container left."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class State:
    """How a container is: its exit code is None while it runs."""

    running: bool
    exit_code: int | None
    out_of_memory: bool


@dataclass(frozen=True, kw_only=True)
class Change:
    """A path of a container's file system that is not as in its image."""

    kind: Literal["modified", "added", "deleted"]
    path: str


def start(
    client: DockerClient,
    digest: str,
    *,
    platform: str,
    run: str,
    mounts: Sequence[ReadOnlyMount] = (),
    environment: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    argv: Sequence[str] | None = None,
    network_of: Container | None = None,
) -> Container:
    """Start a container of an image.

    Args:
        client: The engine, as `connection.connect` gives it.
        digest: The image's manifest digest; it is loaded already.
        platform: The image's platform, as linux/arm64.
        run: The run it belongs to: `run_mark.RunMark.id`.
        mounts: What it sees of the host.
        environment: Variables beside the image's.
        limits: What it may use.
        argv: The program instead of the image's entry point.
        network_of: Another container whose loopback interface it shares.

    Returns:
        The container. As a context manager, it removes itself at the end.

    Raises:
        EngineError: The engine could not start it.
    """
    options = container_options(
        run=run, mounts=mounts, environment=environment or {}, limits=limits or Limits()
    )
    if argv is not None:
        options["entrypoint"] = list(argv)
    if network_of is not None:
        options["network_mode"] = f"container:{network_of.id}"
    with engine_errors(f"start {digest}"):
        created = client.containers.create(digest, platform=platform, **options)
    container = Container(created)
    try:
        with engine_errors(f"start {digest}"):
            created.start()
    except BaseException:
        container.remove()
        raise
    return container


def sweep(client: DockerClient, cache: Path) -> int:
    """Remove what ended runs of this cache left; return how many. Others' are left alone."""
    count = 0
    for run in ended_runs(cache):
        count += remove_all(client, run)
        forget(cache, run)
    return count


def remove_all(client: DockerClient, run: str) -> int:
    """Remove all containers of a run; return how many there were."""
    with engine_errors("remove containers"):
        found = client.containers.list(
            all=True, filters={"label": f"{RUN_LABEL}={run}"}, ignore_removed=True
        )
    for container in found:
        Container(container).remove()
    return len(found)


class Container:
    """A container that was started."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    @property
    def id(self) -> str:
        """Its full id, which `docker` and testinfra take."""
        return str(self._container.id)

    def execute(self, argv: Sequence[str], *, timeout: float) -> Executed:
        """Run a program in the container.

        Args:
            argv: The program and its arguments.
            timeout: Seconds. After them the *container* is killed: nothing less ends a program
                that crashed under emulation.

        Raises:
            SmokeError: It did not end in time.
            EngineError: The engine could not start it.
        """
        api = self._container.client.api  # type: ignore[union-attr]
        with engine_errors(f"exec in {self.id}"):
            created = api.exec_create(self.id, list(argv))["Id"]
        output: list[tuple[bytes | None, bytes | None]] = []
        failures: list[Exception] = []

        def collect() -> None:
            try:
                output.append(api.exec_start(created, demux=True))
            except (DockerException, RequestException, OSError) as error:
                failures.append(error)

        reader = threading.Thread(target=collect, daemon=True)
        reader.start()
        reader.join(timeout)
        if reader.is_alive():
            self.kill()
            raise SmokeError(
                f"no end after {timeout:.0f} s: {' '.join(argv)}",
                where=f"container {self.id[:12]}",
                remedy="look at the container's log; under emulation a crash looks like this",
            )
        with engine_errors(f"exec in {self.id}"):
            if failures:
                raise failures[0]
            returncode = int(api.exec_inspect(created)["ExitCode"])
        stdout, stderr = ((part or b"").decode(errors="replace") for part in output[0])
        return Executed(returncode=returncode, stdout=stdout, stderr=stderr)

    def logs(self, *, lines: int = 200) -> str:
        """Return the last lines that the service wrote, both streams in their order."""
        with engine_errors(f"read the log of {self.id}"):
            return self._container.logs(tail=lines).decode(errors="replace")

    def state(self) -> State:
        """Return how the container is now."""
        found = self.inspect()["State"]
        running = bool(found["Running"])
        return State(
            running=running,
            exit_code=None if running else int(found["ExitCode"]),
            out_of_memory=bool(found["OOMKilled"]),
        )

    def inspect(self) -> Mapping[str, Any]:
        """Return the engine's own description of the container."""
        with engine_errors(f"inspect {self.id}"):
            self._container.reload()
        attributes: Mapping[str, Any] = self._container.attrs
        return attributes

    def diff(self) -> tuple[Change, ...]:
        """Return what differs from the image; mount points and docker-init always do."""
        with engine_errors(f"diff {self.id}"):
            changes = self._container.diff() or []
        return tuple(
            Change(kind=_KINDS[int(found["Kind"])], path=str(found["Path"])) for found in changes
        )

    def stop(self, *, timeout: float) -> int:
        """Ask the service to end (SIGTERM), kill it after `timeout` seconds; return its exit code.

        A killed one's exit code is 137.
        """
        with engine_errors(f"stop {self.id}"):
            self._container.stop(timeout=math.ceil(timeout))
        return self.wait(timeout=ANSWER_SECONDS)

    def wait(self, *, timeout: float) -> int:
        """Wait until it has ended; return its exit code.

        Raises:
            SmokeError: It still runs after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            exit_code = self.state().exit_code
            if exit_code is not None:
                return exit_code
            if time.monotonic() > deadline:
                raise SmokeError(
                    f"still runs after {timeout:.0f} s", where=f"container {self.id[:12]}"
                )
            time.sleep(0.05)

    def kill(self) -> None:
        """End it by force; it may have ended already."""
        with engine_errors(f"kill {self.id}"), gone_already():
            self._container.kill()

    def remove(self) -> None:
        """Remove it, running or not; it may be gone already."""
        with engine_errors(f"remove {self.id}"), gone_already():
            self._container.remove(force=True, v=True)


def container_options(
    *,
    run: str,
    mounts: Sequence[ReadOnlyMount],
    environment: Mapping[str, str],
    limits: Limits,
) -> dict[str, Any]:
    """Return the keyword arguments with which the SDK makes a container that can do no harm."""
    return {
        "detach": True,
        "network_mode": "none",
        "use_config_proxy": False,  # Docker's configuration may hold one, with its password
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        # As PID 1, a program that crashes under qemu would hang, and orphans would not be reaped.
        "init": True,
        "labels": {RUN_LABEL: run},
        "environment": dict(environment),
        "mounts": [
            Mount(target=mount.target, source=str(mount.source), type="bind", read_only=True)
            for mount in mounts
        ],
        "mem_limit": limits.memory_bytes,
        "nano_cpus": None if limits.cpus is None else round(limits.cpus * 1e9),
    }
