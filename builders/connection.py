"""The seam to the Docker engine: the SDK's client, and its errors in our words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import docker
from docker import DockerClient
from docker.errors import DockerException
from requests import RequestException

from builders.errors import EngineError

ANSWER_SECONDS = 120
"""How long the engine may be silent while it does something."""


@contextlib.contextmanager
def connect(
    environment: Mapping[str, str], *, timeout: int = ANSWER_SECONDS
) -> Iterator[DockerClient]:
    """Connect to a Docker engine, for one thread.

    Args:
        environment: The environment in which `docker` uses that engine.
        timeout: How many seconds it may be silent.

    Raises:
        EngineError: It does not answer.
    """
    ssh = environment.get("DOCKER_HOST", "").startswith("ssh://")
    with engine_errors("connect to the Docker engine"):
        client = docker.from_env(environment=dict(environment), timeout=timeout, use_ssh_client=ssh)
    with contextlib.closing(client):
        yield client


@contextlib.contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn the SDK's errors into one that says what could not be done."""
    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        problem = getattr(error, "explanation", None) or error
        raise EngineError(
            f"cannot {what}: {problem}", remedy="look at `nox -s engine -- status`"
        ) from error
