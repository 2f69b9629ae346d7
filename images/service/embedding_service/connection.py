"""Connections: HTTP/1.1 with clients that may be slow, endless or gone, at no cost to others."""

from __future__ import annotations

import asyncio
import http
import json
import logging
import socket
import struct
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from embedding_service.journal import GONE, TASK

MOST_HEAD_BYTES = 2**16
"""How long a request's line and headers may be, beyond what is read at once with their beginning:
llhttp itself has no limit."""

MOST_AHEAD = 16
"""How many requests may be sent before the answer to the first of them (pipelining); uvicorn itself
would parse and keep as many as come in."""

logger = logging.getLogger(__name__)


def connections(*, seconds: float) -> type[Connection]:
    """Return the class of a server's connections.

    Args:
        seconds: How long a request may take to come in, and an answer to be taken.
    """
    return type("LimitedConnection", (Connection,), {"seconds": seconds})


class _TooFarAheadError(Exception):
    """More requests come in than are kept."""


class Connection(HttpToolsProtocol):
    """A connection; `tend` is to be called now and then."""

    seconds: ClassVar[float]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        self._since: float | None = self.loop.time()
        self._unsent_since: float | None = None
        self._head_bytes = 0
        self._is_in_head = False
        self._is_leaving = False
        self._running: RequestResponseCycle | None = None
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Read on; what was not begun before begins now."""
        if self._since is None and not self._is_answering:
            self._since = self.loop.time()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MOST_HEAD_BYTES:
            self._end(431, f"the request's headers have more than {MOST_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= MOST_AHEAD:
            raise _TooFarAheadError  # out of the parser, which ends with a 400
        self._is_in_head = True
        self._head_bytes = 0
        if self._since is None:  # sent before the answer to the one before it
            self._since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its body begins; the application is asked."""
        self._is_in_head = False
        super().on_headers_complete()
        if self._is_leaving:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """It is here."""
        self._since = None
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what is still being done for the client."""
        super().connection_lost(exc)
        running = self._running
        if running is None or running.response_complete:
            return
        running.disconnected = True
        scope: dict[str, Any] = running.scope  # type: ignore[assignment]
        scope[GONE] = True
        if task := scope.get(TASK):
            task.cancel()

    def leave(self) -> None:
        """Let the next answer, or that which is being made, be the last."""
        self._is_leaving = True
        if self._is_answering:
            self.cycle.keep_alive = False

    def tend(self) -> None:
        """End the connection if its client takes too long."""
        now = self.loop.time()
        if self.transport.get_write_buffer_size() == 0:
            self._unsent_since = None
        elif self._unsent_since is None:
            self._unsent_since = now
        elif now - self._unsent_since > self.seconds:
            self._cut()
        if self._since is None or now - self._since <= self.seconds or self._is_answering:
            return  # while it is being answered, its body is waited for where it is read
        if self._is_in_head:
            self._end(408, f"the request did not come in within {self.seconds:g} s")
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._end(400, msg)

    @property
    def _is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _cut(self) -> None:
        """Forget the connection, and what the system still has to send there."""
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _end(self, status: int, message: str) -> None:
        """Answer what the application never sees, and close."""
        if self.transport.is_closing():
            return
        phrase = http.HTTPStatus(status).phrase
        code = phrase.lower().replace(" ", "_")
        logger.info("a connection is ended: %d %s", status, phrase)
        problem = {"code": code, "message": message, "type": "invalid_request_error", "param": None}
        body = json.dumps({"error": problem}).encode()
        lines = [
            f"HTTP/1.1 {status} {phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
