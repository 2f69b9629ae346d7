"""A small server of the tests' own that answers as an API of OpenAI's interface does."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

UNIT = [0.0, 0.6, 0.0, 0.8, 0.0, 0.0]
OTHER = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
KEY = "sk-very-secret-123"

Reply = tuple[int, Mapping[str, str], bytes]


def unit32(numbers: Sequence[float] = UNIT) -> list[float]:
    """The numbers as float32 has them."""
    found: list[float] = np.array(numbers, np.float32).tolist()
    return found


def encoded(numbers: Sequence[float]) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def listed(*embeddings: object, **item: object) -> Reply:
    """An answer with these vectors."""
    items = [
        {"object": "embedding", "index": index, "embedding": embedding, **item}
        for index, embedding in enumerate(embeddings)
    ]
    return 200, {}, json.dumps({"object": "list", "data": items, "model": "m"}).encode()


def problem(status: int, code: str | None = None, **headers: str) -> Reply:
    content = {"error": {"message": "not for the log: the text", "type": "x", "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps(content).encode()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request."""

    path: str
    headers: Mapping[str, str]
    content: Mapping[str, Any]
    connection: int

    @property
    def texts(self) -> list[str]:
        texts: list[str] = self.content["input"]
        return texts


@dataclass
class Api:
    """What the server answers: first the replies, one after the other, then vectors.

    Attributes:
        answer: Makes a reply of a request; None: of vectors.
        vector: Makes a text's vector.
        headers: Of the answers that hold vectors.
        seconds: How long an answer takes.
        hangs_up: Whether connections are closed after an answer that does not say so.
        asked: The requests so far.
    """

    port: int = 0
    scheme: str = "http"
    replies: list[Reply] = field(default_factory=list)
    answer: Callable[[Asked], Reply | None] = lambda _: None
    vector: Callable[[str], Sequence[float]] = lambda _: UNIT
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    hangs_up: bool = False
    asked: list[Asked] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    def reply(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            scripted = self.replies.pop(0) if self.replies else None
        time.sleep(self.seconds)
        if found := scripted or self.answer(asked):
            return found
        status, _, body = listed(*(encoded(self.vector(text)) for text in asked.texts))
        return status, self.headers, body


@contextlib.contextmanager
def serving(port: int = 0, *, certificate: Path | None = None) -> Iterator[Api]:
    """Serve on 127.0.0.1 until the block ends; connections stay open as long as clients want.

    With a certificate, it is HTTPS.
    """
    api = Api(scheme="https" if certificate else "http")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = Asked(
                path=self.path,
                headers=dict(self.headers),
                content=body,
                connection=self.client_address[1],
            )
            status, headers, content = api.reply(asked)
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            self.close_connection = self.close_connection or api.hangs_up

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    api.port = server.server_address[1]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
