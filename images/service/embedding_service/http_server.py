"""The HTTP server: from the listening socket to the last answer."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from embedding_service.connection import Connection, connections
from embedding_service.settings import Settings

KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle. Longer than what proxies and clients keep one for (60 s, 5 s),
so that it is the other side that closes, and no request meets a closed connection."""

LAST_REQUESTS_SECONDS = 1
"""How long idle connections stay after SIGTERM: what a client sent before it knew is answered."""

_TICKS_BETWEEN = 5  # half a second
_STEP = 0.02


class HttpServer(uvicorn.Server):
    """Serves an application.

    Args:
        app: The application.
        settings: How slow clients may be, and the grace after SIGTERM.
        on_hangup: Called in the event loop after SIGHUP.
    """

    def __init__(self, app: ASGIApp, settings: Settings, *, on_hangup: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=connections(seconds=settings.receive_seconds),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=settings.grace_seconds,
            )
        )
        self._on_hangup = on_hangup

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and to heed SIGHUP, which has been held back until now."""
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def leave(self) -> None:
        """Stop as after a signal; may be called from another thread."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`: uvicorn would raise them again and spoil the exit code."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Tend the connections, every few of uvicorn's ticks."""
        if counter % _TICKS_BETWEEN == 0:
            for connection in self._connections():
                connection.tend()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connection, answer what was sent, then end.

        uvicorn alone closes at once what has no request in flight, whatever is just arriving
        there: the client of a connection that was accepted a moment ago, or kept open, would see
        it reset (https://github.com/Kludex/uvicorn/pull/3124). Here such requests are still
        answered, and told that the connection ends.
        """
        loop = asyncio.get_running_loop()
        last = list(_accepted(sockets or []))
        for server in self.servers:  # at once: who connects between the two is reset
            server.close()
        for accepted in last:
            await loop.connect_accepted_socket(self._protocol, accepted)
        until = loop.time() + LAST_REQUESTS_SECONDS
        await asyncio.sleep(_STEP)  # asyncio itself has accepted some, of which it is to tell
        while self.server_state.connections and loop.time() < until:
            for connection in self._connections():
                connection.leave()
            await asyncio.sleep(_STEP)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        """Return what uvicorn makes of a connection that it accepts."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _connections(self) -> list[Connection]:
        return cast("list[Connection]", list(self.server_state.connections))


def _accepted(listeners: Iterable[socket.socket]) -> Iterator[socket.socket]:
    """Yield the connections that wait to be accepted."""
    for listener in listeners:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(0)
                yield connection
