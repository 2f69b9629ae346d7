"""The embedding service on this host: the same program, wheels and model as in the images."""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builders import process
from builders.errors import ServeError

READY_SECONDS = 120.0
"""How long the model may take to load."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Service:
    """What to serve, and where.

    Attributes:
        python: The interpreter of an environment made from the backend's lock.
        module_path: The folders of the service and the backend.
        model: The model directory.
        inventory: What it is made of: a CycloneDX document.
        host: The address to listen on.
        port: The port to listen on.
    """

    python: Path
    module_path: tuple[Path, ...]
    model: Path
    inventory: Path
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where a client on this machine reaches it."""
        return f"http://{'127.0.0.1' if self.host in ('0.0.0.0', '::') else self.host}:{self.port}"  # noqa: S104 (compared, not bound)


def serve(service: Service, *, note: Callable[[str], None]) -> None:
    """Serve until the service ends or the user interrupts; then nothing is left running.

    Raises:
        ServeError: The port is taken, or the service ended by itself.
    """
    refuse_taken_port(service.host, service.port)
    with process.background(
        (service.python, "-m", "embedding_service"), env=_environment(service)
    ) as child:
        _wait_until_ready(service, child)
        note(f"ready on {service.url} (Ctrl-C stops it)")
        status = child.wait()
    raise ServeError(f"the service ended with exit status {status}", remedy="see its message above")


def refuse_taken_port(host: str, port: int) -> None:
    """Fail now, rather than after a model was loaded.

    Raises:
        ServeError: Something else listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServeError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                remedy="stop what listens there, or choose another with --port",
            ) from error


def _environment(service: Service) -> dict[str, str]:
    return {
        "EMBEDDING_LOG_FORMAT": "text",  # for people
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(path) for path in service.module_path),
        "EMBEDDING_MODEL_DIR": str(service.model),
        "EMBEDDING_INVENTORY": str(service.inventory),
        "EMBEDDING_SERVER_HOST": service.host,
        "EMBEDDING_SERVER_PORT": str(service.port),
    }


def _wait_until_ready(service: Service, child: process.Background) -> None:
    """Wait until the model is loaded.

    Raises:
        ServeError: It ended, or takes too long.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        status = child.poll()
        if status is not None:
            raise ServeError(
                f"the service ended with exit status {status}", remedy="see its message above"
            )
        if _is_healthy(service.url):
            return
        time.sleep(_POLL_SECONDS)
    raise ServeError(f"not ready after {READY_SECONDS:.0f} s", remedy="see its messages above")


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 (our own loopback URL)
            return b'"healthy"' in answer.read()
    except (urllib.error.URLError, OSError):
        return False
