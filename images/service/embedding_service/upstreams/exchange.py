"""Exchanges with an API: a request and its whole answer, within a time and a size."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult

CONNECT_SECONDS = 10.0
"""How long an address may take to accept a connection."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP's.
        headers: By name; names are compared without regard to case.
        body: All of it.
    """

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class ReplyTooLongError(Exception):
    """An answer has more bytes than any that can be used."""


class Exchange:
    """Asks one address. Connections are kept for the next request; any thread may ask.

    No proxy is asked, and no redirection followed.

    Args:
        url: The address of the interface.
        headers: What every request carries; never shown.
    """

    def __init__(self, url: SplitResult, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = dict(headers)
        # Made once: it reads the certificates of all authorities.
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._is_closed = False

    def post(self, path: str, body: bytes, *, seconds: float, most_bytes: int) -> Reply:
        """Ask, and return the answer.

        Args:
            path: Below the address.
            body: JSON.
            seconds: After which it is given up. Making the connection has a limit of its own.
            most_bytes: How long the answer may be.

        Raises:
            OSError: There is no connection, or the time is over.
            http.client.HTTPException: What comes is not HTTP, or cut off.
            ReplyTooLongError: The answer is too long.
        """
        deadline = time.monotonic() + seconds
        while True:
            connection, is_used = self._connection(deadline)
            try:
                with _until(deadline, connection):
                    reply = self._exchanged(connection, path, body, most_bytes)
            except (ConnectionError, http.client.BadStatusLine):
                connection.close()
                if not is_used:
                    raise
                continue  # it was closed at the other end, where nobody read the request
            except BaseException:
                connection.close()
                raise
            if connection.sock is not None:
                self._idle.append(connection)
            if self._is_closed:
                self.close()
            return reply

    def close(self) -> None:
        """Close the connections that are not in use, and keep none any more."""
        self._is_closed = True
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _connection(self, deadline: float) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it has been used before."""
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        with contextlib.suppress(IndexError):
            return self._idle.pop(), True
        limit = min(seconds, CONNECT_SECONDS)
        host, port = self._url.hostname or "", self._url.port
        connection = (
            http.client.HTTPConnection(host, port, timeout=limit)
            if self._tls is None
            else http.client.HTTPSConnection(host, port, timeout=limit, context=self._tls)
        )
        connection.connect()
        return connection, False

    def _exchanged(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, most_bytes: int
    ) -> Reply:
        target = f"{self._url.path.rstrip('/')}{path}"
        connection.request("POST", target, body=body, headers=self._headers)
        response = connection.getresponse()
        content = response.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise ReplyTooLongError(f"more than {most_bytes} bytes")
        if response.length:  # read with a limit, http.client does not raise it
            raise http.client.IncompleteRead(content, response.length)
        if not response.isclosed():
            connection.close()
        return Reply(status=response.status, headers=response.headers, body=content)


@contextlib.contextmanager
def _until(deadline: float, connection: http.client.HTTPConnection) -> Iterator[None]:
    """Cut a connection when the time is over: a socket's own limit is for each read alone.

    Raises:
        TimeoutError: It was cut.
    """
    seconds = max(deadline - time.monotonic(), 0.001)
    sock = connection.sock
    sock.settimeout(seconds)
    is_over = threading.Event()

    def cut() -> None:
        is_over.set()
        with contextlib.suppress(OSError):
            # Not the TLS socket's own: that takes its session from under the reading thread.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if is_over.is_set():
            raise TimeoutError("timed out") from error
        raise
    finally:
        timer.cancel()
    if is_over.is_set():
        raise TimeoutError("timed out")
