"""`python -m embedding_service.client`: ask a service on this machine, with the standard library.

It runs inside the container too (`docker exec`): the containers have no network but loopback.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedding_service import document
from embedding_service.corpus import Entry, read_corpus
from embedding_service.document import VectorDocument
from embedding_service.errors import ServerAnswerError, StartError
from embedding_service.inputs import Image, Input, kind
from embedding_service.settings import Settings

REQUEST_SECONDS = 120
"""The time limit of one request: an emulated processor is slow."""

POLL_SECONDS = 0.05


def main(words: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit code (see `errors`)."""
    parser = argparse.ArgumentParser(
        prog="python -m embedding_service.client",
        description="Ask the service on 127.0.0.1, port EMBEDDING_SERVER_PORT (default 8080).",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    wait = commands.add_parser("wait", help="wait until the model is loaded; print its /health")
    wait.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="default: 60")
    embed = commands.add_parser(
        "embed", help="embed a corpus, one input a request, and write a vector document"
    )
    embed.add_argument(
        "--corpus",
        type=Path,
        required=True,
        metavar="FILE",
        help='JSON lines {"id", "text"} or {"id", "image"}',
    )
    embed.add_argument(
        "--output", type=Path, metavar="FILE", help="the document (default: standard output)"
    )
    arguments = parser.parse_args(words)
    try:
        port = Settings.from_environment(os.environ).port
        if arguments.command == "wait":
            sys.stdout.write(json.dumps(wait_until_ready(port, arguments.timeout)) + "\n")
        else:
            entries = read_corpus(arguments.corpus)
            document.write(embed_corpus(port, entries), arguments.output)
    except StartError as error:
        sys.stderr.write(f"embedding_service.client: {error}\n")
        return error.exit_code
    return 0


def wait_until_ready(port: int, timeout: float) -> dict[str, Any]:
    """Ask for the service's health until the model is loaded; return it as it came.

    Args:
        port: The service's, on 127.0.0.1.
        timeout: Seconds to wait at most.

    Raises:
        ServerAnswerError: The time is over; the message says what the last try found.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            with _connection(port) as connection:
                health = _health(connection)
        except ServerAnswerError as error:
            found = str(error)
        else:
            if health["embedding_model_loaded"]:
                return health
            found = f"/health says {json.dumps(health)}"
        if time.monotonic() > deadline:
            raise ServerAnswerError(f"not ready after {timeout:g} s: {found}")
        time.sleep(POLL_SECONDS)


def embed_corpus(port: int, entries: Sequence[Entry]) -> VectorDocument:
    """Embed a corpus over HTTP, one input a request, in its order.

    Raises:
        ServerAnswerError: There is no answer, or another than 200; the message holds the input's
            id.
    """
    vectors: dict[str, str] = {}
    with _connection(port) as connection:
        health = _health(connection)
        for entry in entries:
            answer = _ask(connection, "POST", "/embed", json.dumps(request(entry.input)))
            if answer.status != http.HTTPStatus.OK:
                raise ServerAnswerError(
                    f"{kind(entry.input)} {entry.id!r}: {answer.status} {answer.content}"
                )
            values = answer.content["embedding"]
            vectors[entry.id] = document.encoded(struct.pack(f"<{len(values)}f", *values))
    return VectorDocument(
        backend=health["backend"],
        libraries=health["libraries"],
        model=health["model"],
        dimension=health["dimension"],
        vector_space=health["vector_space"],
        precision=health["precision"],
        architecture=health["architecture"],
        batch_size=1,
        vectors=vectors,
    )


def request(given: Input) -> dict[str, str]:
    """Return what `POST /embed` is sent for an input."""
    if isinstance(given, Image):
        return {"image": base64.b64encode(given.content).decode("ascii")}
    return {"text": given}


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    content: dict[str, Any]


def _connection(port: int) -> contextlib.closing[http.client.HTTPConnection]:
    # Not urllib: it would ask a proxy from the environment for 127.0.0.1.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_SECONDS)
    return contextlib.closing(connection)


def _health(connection: http.client.HTTPConnection) -> dict[str, Any]:
    answer = _ask(connection, "GET", "/health")
    if answer.status != http.HTTPStatus.OK or "embedding_model_loaded" not in answer.content:
        raise ServerAnswerError(
            f"127.0.0.1:{connection.port} is no embedding service: /health answers {answer.status}"
        )
    return answer.content


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None
) -> _Answer:
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        content = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServerAnswerError(
            f"no answer from 127.0.0.1:{connection.port}: {type(error).__name__}: {error}"
        ) from error
    return _Answer(status=response.status, content=content)


if __name__ == "__main__":
    sys.exit(main())
