"""The seam to the Docker engine: the SDK's client, and its errors in our words."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import docker
from docker import DockerClient
from docker.errors import APIError, DockerException
from requests import RequestException

from builders.errors import EngineError

API_VERSION = "1.44"
"""Docker 25's: the oldest that newer engines speak, and older ones cannot do what is needed.

Were it left to be negotiated, a failure would leave the SDK's socket open.
"""

ANSWER_SECONDS = 120
"""How long the engine may be silent while it does something."""

_REMEDY = "look at `nox -s engine -- status`"
_CONNECT_REMEDY = "start it, or name another one in matrix.yaml; `engine: auto` finds one"


@contextlib.contextmanager
def connect(
    environment: Mapping[str, str], *, timeout: int = ANSWER_SECONDS
) -> Iterator[DockerClient]:
    """Connect to a Docker engine, for one thread.

    Args:
        environment: The environment in which `docker` uses that engine.
        timeout: How many seconds it may be silent.

    Raises:
        EngineError: It does not answer, or is on another machine.
    """
    host = environment.get("DOCKER_HOST", "")
    if host.startswith("ssh://"):
        raise EngineError(
            "an engine of another machine cannot be used: its containers see no file of this one",
            where=host,
            remedy="run Equivec on that machine",
        )
    with engine_errors(f"connect to the Docker engine at {host}", _CONNECT_REMEDY):
        if host.startswith("unix://"):
            _knock(host.removeprefix("unix://"), timeout)
        client = docker.from_env(
            environment=dict(environment), timeout=timeout, version=API_VERSION
        )
    with contextlib.closing(client):
        with engine_errors(f"connect to the Docker engine at {host}", _CONNECT_REMEDY):
            client.ping()
        yield client


@contextlib.contextmanager
def engine_errors(what: str, remedy: str = _REMEDY) -> Iterator[None]:
    """Turn the SDK's errors into one that says what could not be done."""
    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        problem = getattr(error, "explanation", None) or error
        raise EngineError(f"cannot {what}: {problem}", remedy=remedy) from error


@contextlib.contextmanager
def gone_already() -> Iterator[None]:
    """Pass over the engine's answer that a container does not run, or is being removed."""
    try:
        yield
    except APIError as error:
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise


def _knock(path: str, timeout: int) -> None:
    """Connect to a socket and leave: where nobody listens, the SDK would leak its own."""
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(timeout)
        knocking.connect(path)
