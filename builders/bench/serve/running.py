"""Servers that run for a measurement, and what the kernel accounts to them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from builders import process
from builders.errors import BenchError
from builders.process import Background

READY_SECONDS = 180.0
"""How long a server may take to answer its first request; some compile their model before."""

_POLL_SECONDS = 0.005
_LAST_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class Server:
    """What serves.

    Attributes:
        name: For people.
        argv: How it is started.
        environment: Its whole environment.
        port: Where it listens, on 127.0.0.1.
        path: The route that embeds.
        model: What its requests name as the model; empty for a route that takes none.
        log: Where its output goes.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    path: str
    model: str
    log: Path

    def body(self, text: str) -> str:
        """Return the body of the request that embeds a text."""
        if self.model:
            return json.dumps({"model": self.model, "input": text})
        return json.dumps({"text": text})


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers.

    Attributes:
        server: What it is.
        process: Its process.
        ready: Seconds from its start to the whole answer to its first request.
    """

    server: Server
    process: Background
    ready: float

    @property
    def processor(self) -> float:
        """Seconds of processors that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    @property
    def resident(self) -> float:
        """Its memory in megabytes, as the kernel counts it now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (amount,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
        return int(amount) * 1024 / 1e6


@contextlib.contextmanager
def running(server: Server) -> Iterator[Running]:
    """Start a server, wait until it has embedded a text, and end it with the block.

    Raises:
        BenchError: It ended, or takes too long; the message has the last of its output.
    """
    begun = time.perf_counter()
    with process.background(server.argv, env=server.environment, output=server.log) as child:
        while not _answers(server):
            if child.poll() is not None or time.perf_counter() - begun > READY_SECONDS:
                raise BenchError(
                    f"{server.name} does not answer:\n{_last(server.log)}", where=server.name
                )
            time.sleep(_POLL_SECONDS)
        yield Running(server=server, process=child, ready=time.perf_counter() - begun)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def vector(server: Server, text: str) -> NDArray[np.float64]:
    """Return the vector of a text, of unit length.

    Raises:
        BenchError: The answer is another one than 200.
    """
    status, body = _asked(server, text)
    if status != http.HTTPStatus.OK:
        raise BenchError(f"status {status}", where=server.name)
    document = json.loads(body)
    numbers = np.asarray(
        document["data"][0]["embedding"] if server.model else document["embedding"],
        dtype=np.float64,
    )
    unit: NDArray[np.float64] = numbers / np.linalg.norm(numbers)
    return unit


def _answers(server: Server) -> bool:
    try:
        return _asked(server, "ready")[0] == http.HTTPStatus.OK
    except OSError:
        return False


def _asked(server: Server, text: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=READY_SECONDS)
    try:
        connection.request(
            "POST", server.path, server.body(text), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _last(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-_LAST_CHARACTERS:]
