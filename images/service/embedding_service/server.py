"""The server: an embedder behind HTTP, from the listening socket to the last answer."""

from __future__ import annotations

import functools
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from embedding_service import providers, terminal
from embedding_service.app import create_app
from embedding_service.configuration import Configuration
from embedding_service.embedder import Embedder
from embedding_service.http_server import HttpServer
from embedding_service.journal import Journal
from embedding_service.metrics import Metrics
from embedding_service.observer import Observer
from embedding_service.reloading import Reloader
from embedding_service.served import Served
from embedding_service.serving import Serving
from embedding_service.settings import Settings

SWITCH_SECONDS = 0.0005
"""How long one thread may keep the interpreter from another. Python's own 5 ms are long for the
embedder's thread, which needs it for a moment before and after each batch."""

logger = logging.getLogger(__name__)


def serve(configuration: Configuration, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; reload after SIGHUP.

    Args:
        configuration: Where the settings come from.
        listener: Where to answer; it is closed at the end.

    Raises:
        ModelError: The model or its backend is not what the recipe declares.
        SettingsError: The model has no vectors as the settings ask for.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    settings = configuration.proposed({}).settings
    metrics = Metrics()
    observed = functools.partial(new_embedder, observer=metrics)
    first, *stand_ins = _embedders(settings, metrics)
    serving = Serving(first)
    del first  # a reload replaces it
    reloader = Reloader(serving, observed, configuration, on_reload=metrics.reloaded)
    app = Journal(create_app(serving, settings, reloader, metrics), settings, metrics)
    had_terminal = terminal.is_there()

    def on_hangup() -> None:
        if had_terminal and not terminal.is_there():
            server.leave()  # it was closed: nobody wants a service to go on in secret
        else:
            reloader.on_hangup()

    server = HttpServer(app, settings, on_hangup=on_hangup)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    may_stand_in = stand_ins if settings.allow_space_change else ()
    _start(serving, may_stand_in, on_failure=server.leave)
    server.run(sockets=[listener])
    serving.current.stop(timeout=1)
    if serving.current.failure:
        raise serving.current.failure
    logger.info("stopped")


def new_embedder(settings: Settings, observer: Observer) -> Embedder:
    """Return the embedder that the settings ask for, not started yet.

    Args:
        settings: The settings.
        observer: Is told what it does.

    Raises:
        ModelError: There is no such model.
        SettingsError: The model has no vectors as the settings ask for.
    """
    return _embedders(settings, observer)[0]


def _embedders(settings: Settings, observer: Observer) -> Sequence[Embedder]:
    """Return what may be served by the settings, not started yet, the preferred one first."""
    found = providers.provided(settings)
    for each in found:
        Served.of(each.recipe, each.settings)
    return [
        Embedder(
            backend=each.backend, recipe=each.recipe, settings=each.settings, observer=observer
        )
        for each in found
    ]


def _start(
    serving: Serving, stand_ins: Sequence[Embedder], *, on_failure: Callable[[], None]
) -> None:
    """Start what is served; if none of its upstreams is there, what stands in for it.

    That is of another vector space. So it happens only where the operator allows that, and only
    here, where this process has answered nothing yet.
    """
    embedder = serving.current

    def failed() -> None:
        if not stand_ins or not providers.is_absence(embedder.failure):
            on_failure()
            return
        successor, *others = stand_ins
        logger.warning(
            "%s; %s is served in the place of %s: another vector space",
            *(embedder.failure, successor.recipe.name, embedder.recipe.name),
        )
        serving.replace(successor)  # not in the event loop's thread, but no request has had it
        _start(serving, others, on_failure=on_failure)

    embedder.start(on_failure=failed)
