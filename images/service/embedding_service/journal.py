"""The journal: of each request its id, its line in the log, its place in the metrics."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from embedding_service.errors import NotReadyError
from embedding_service.headers import header
from embedding_service.logs import REQUEST_ID, fields
from embedding_service.metrics import Metrics
from embedding_service.problems import unavailable
from embedding_service.settings import Settings

TASK = "equivec.task"
"""Where a request's scope has the task that answers it: what knows that the client is gone cancels
it."""

GONE = "equivec.gone"
"""What is then true in the scope."""

UNROUTED = "unrouted"
"""The route of what is answered before one is found."""

_QUIET = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
# A client's own id is kept if it cannot be mistaken for anything else in a log.
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

logger = logging.getLogger(__name__)


class Journal:
    """Stands around the whole application.

    A request that the client does not wait for ends without an answer, one that is cancelled
    because the service stops with 503, and one that failed in a way that nothing foresaw leaves a
    line that says where.

    Args:
        app: What is served.
        settings: Whether each request is logged.
        metrics: Counts.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._is_logging = settings.log_requests
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        request_id = given if _ID.fullmatch(given) else os.urandom(16).hex()
        REQUEST_ID.set(request_id)
        scope[TASK] = asyncio.current_task()
        status: int | Literal["gone"] | None = None

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        begun = time.perf_counter()
        self._metrics.began()
        try:
            await self._app(scope, receive, sent)
        except asyncio.CancelledError:
            if not scope.get(GONE) and status is None:
                stopping = NotReadyError("the service is stopping")
                await unavailable(stopping)(scope, receive, sent)
        except Exception:
            # The application has answered it.
            logger.exception("a request failed")
        finally:
            self._ended(scope, "gone" if scope.get(GONE) else status, time.perf_counter() - begun)

    def _ended(self, scope: Scope, status: int | str | None, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNROUTED)
        self._metrics.ended(route=route, status=str(status), seconds=seconds)
        level = logging.DEBUG if route in _QUIET else logging.INFO
        if self._is_logging and logger.isEnabledFor(level):
            values = {
                "method": scope["method"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
            }
            logger.log(level, "request", extra=fields(values))
