"""The load generator: clients that ask a server on this machine, in a process of their own.

One thread, a socket for each client, and nothing read that is not needed: it takes little of the
processors from what is measured. It reads orders from standard input and answers each with a line.

Each client keeps one connection, and sends its next request when it has the whole answer to the
last one.
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-5
"""How far a number of a vector may be from what is expected: the gate of float32."""

QUIET_SECONDS = 120.0
"""How long no client has an answer before the others count as lost."""

_PIECE = 1 << 18
_HEAD_ENDS = b"\r\n\r\n"


@dataclass(kw_only=True)
class Stream:
    """Clients that ask the same requests in turn, and what they were answered.

    Attributes:
        requests: Whole requests as they are sent.
        clients: How many ask at a time.
        answers: After how many answers no client asks any more; None: when the other streams end.
        expected: The vector of each request; None: answers are not looked into.
        latencies: Seconds from sending a request to its whole answer.
        wrong: Answers with another vector than the expected one.
        refused: Answers with another status than 200, and requests after the signal that a closed
            connection did not answer.
        lost: Requests without an answer.
    """

    requests: Sequence[bytes]
    clients: int
    answers: int | None
    expected: NDArray[np.float32] | None = None
    latencies: list[float] = field(default_factory=list)
    wrong: int = 0
    refused: int = 0
    lost: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)
    asked: int = 0

    @property
    def wants_more(self) -> bool:
        """Whether its clients are to ask again."""
        return self.answers is None or self.asked < self.answers


@dataclass(kw_only=True)
class Client:
    """One connection, and the request that it waits for."""

    stream: Stream
    connection: socket.socket
    number: int = 0
    since: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    whole: int = 0
    """How many bytes the answer has; 0 while that is not known."""
    body: int = 0

    def ask(self) -> None:
        """Send the next request."""
        self.number = next(self.stream.numbers) % len(self.stream.requests)
        self.stream.asked += 1
        self.received.clear()
        self.whole = 0
        self.since = time.perf_counter()
        self.connection.sendall(self.stream.requests[self.number])

    def has_all(self) -> bool:
        """Return whether the whole answer is there."""
        if not self.whole:
            end = self.received.find(_HEAD_ENDS)
            if end < 0:
                return False
            self.body = end + len(_HEAD_ENDS)
            self.whole = self.body + content_length(bytes(self.received[:end]))
        return len(self.received) >= self.whole


@dataclass(kw_only=True)
class Signal:
    """A process that is asked to end while it is under load.

    Attributes:
        process: Its id.
        answers: After how many answers, of all streams.
        at: When it was sent.
    """

    process: int
    answers: int
    at: float | None = None


def main() -> None:
    """Carry out each order of standard input; the argument is a file with the plan.

    The plan has `port`, and by name `requests`, each with `path`, `bodies` and perhaps `expected`
    (a file of numpy's). An order has `streams`, each with `requests` (a name), `clients` and
    `answers`, and perhaps `signal`: `process` and `answers`.
    """
    plan = json.loads(Path(sys.argv[1]).read_bytes())
    requests = {
        name: [request(plan["port"], entry["path"], body.encode()) for body in entry["bodies"]]
        for name, entry in plan["requests"].items()
    }
    expected = {
        name: np.load(entry["expected"])
        for name, entry in plan["requests"].items()
        if entry.get("expected")
    }
    for line in sys.stdin:
        order = json.loads(line)
        streams = [
            Stream(
                requests=requests[each["requests"]],
                clients=each["clients"],
                answers=each["answers"],
                expected=expected.get(each["requests"]),
            )
            for each in order["streams"]
        ]
        end = Signal(**order["signal"]) if "signal" in order else None
        begun = time.perf_counter()
        run(plan["port"], streams, end)
        document = {
            "seconds": time.perf_counter() - begun,
            "streams": [
                {
                    "latencies": stream.latencies,
                    "wrong": stream.wrong,
                    "refused": stream.refused,
                    "lost": stream.lost,
                }
                for stream in streams
            ],
        }
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


def request(port: int, path: str, body: bytes) -> bytes:
    """Return a request as it is sent."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def content_length(head: bytes) -> int:
    """Return how long the body is that follows an answer's head.

    Raises:
        ValueError: The head does not say it.
    """
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError("an answer does not say how long it is")


def run(port: int, streams: Sequence[Stream], end: Signal | None = None) -> None:
    """Let all clients ask until every stream with a number of answers has had them."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            for _ in range(stream.clients):
                connection = socket.create_connection(("127.0.0.1", port), timeout=QUIET_SECONDS)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client = Client(stream=stream, connection=connection)
                selector.register(connection, selectors.EVENT_READ, client)
        for key in list(selector.get_map().values()):
            _ask(selector, key.data, end)
        while selector.get_map():
            ready = selector.select(QUIET_SECONDS)
            if not ready:
                for key in list(selector.get_map().values()):
                    _lose(selector, key.data, end)
            for key, _ in ready:
                _receive(selector, key.data, streams, end)


def _receive(
    selector: selectors.BaseSelector, client: Client, streams: Sequence[Stream], end: Signal | None
) -> None:
    try:
        piece = client.connection.recv(_PIECE)
    except OSError:
        piece = b""
    if not piece:
        _lose(selector, client, end)
        return
    client.received += piece
    if not client.has_all():
        return
    _count(client)
    if end and end.at is None and sum(len(each.latencies) for each in streams) >= end.answers:
        end.at = time.perf_counter()
        os.kill(end.process, signal.SIGTERM)
    if client.stream.wants_more and _is_needed(streams):
        _ask(selector, client, end)
    else:
        _leave(selector, client)


def _count(client: Client) -> None:
    stream = client.stream
    stream.latencies.append(time.perf_counter() - client.since)
    if not client.received.startswith(b"HTTP/1.1 200"):
        stream.refused += 1
    elif stream.expected is not None:
        body = bytes(client.received[client.body : client.whole])
        if not is_right(body, stream.expected[client.number]):
            stream.wrong += 1


def is_right(body: bytes, expected: NDArray[np.float32]) -> bool:
    """Return whether an answer of /embed holds this vector."""
    vector = np.asarray(json.loads(body)["embedding"], dtype=np.float32)
    return vector.shape == expected.shape and bool((abs(vector - expected) <= TOLERANCE).all())


def _is_needed(streams: Sequence[Stream]) -> bool:
    """Return whether a stream with a number of answers still asks; without any, always."""
    bounded = [stream for stream in streams if stream.answers is not None]
    return not bounded or any(stream.wants_more for stream in bounded)


def _ask(selector: selectors.BaseSelector, client: Client, end: Signal | None) -> None:
    try:
        client.ask()
    except OSError:
        _lose(selector, client, end)


def _lose(selector: selectors.BaseSelector, client: Client, end: Signal | None) -> None:
    """Count a request without an answer: after the signal, it was never accepted."""
    if end and end.at is not None and client.since > end.at and not client.received:
        client.stream.refused += 1
    else:
        client.stream.lost += 1
    _leave(selector, client)


def _leave(selector: selectors.BaseSelector, client: Client) -> None:
    selector.unregister(client.connection)
    client.connection.close()


if __name__ == "__main__":
    main()
