"""The server: an embedder behind HTTP, from the listening socket to the last answer."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn

from embedding_service import contract, recipe
from embedding_service.app import create_app
from embedding_service.embedder import Embedder
from embedding_service.settings import Settings

GRACE_SECONDS = 7
"""How long answers in flight may take after SIGTERM: `docker stop` kills after 10."""

logger = logging.getLogger(__name__)


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight.

    Args:
        settings: The model's directory and the threads to compute with.
        listener: Where to answer; it is closed at the end.

    Raises:
        ModelError: The model or its backend is not what the recipe declares.
    """
    embedder = Embedder(
        backend=contract.backend_class(),
        recipe=recipe.read(settings.model_dir),
        settings=settings,
    )
    server = _Server(
        uvicorn.Config(
            create_app(embedder, max_image_bytes=settings.max_image_bytes),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    embedder.start(on_failure=server.leave)
    server.run(sockets=[listener])
    embedder.stop(timeout=1)
    if embedder.failure:
        raise embedder.failure
    logger.info("stopped")


class _Server(uvicorn.Server):
    def leave(self) -> None:
        """Stop as after a signal; may be called from another thread."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`: uvicorn would raise them again and spoil the exit code."""
        yield
