"""Bodies: how a request's comes in, so that neither one nor all of them fill the memory."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from embedding_service.headers import header
from embedding_service.problems import refused_early
from embedding_service.refusals import (
    BodiesPendingError,
    BodyTooLargeError,
    BodyTooSlowError,
    Refusal,
)
from embedding_service.settings import Settings

RETRY_AFTER_SECONDS = 1


def most_bytes(settings: Settings) -> int:
    """Return how many bytes a body may have: an image in base64, and the JSON around it."""
    return 4 * math.ceil(settings.max_image_bytes / 3) + 2**16


class Received(Protocol):
    """Is told how long a body took to come in."""

    def received(self, seconds: float) -> None:
        """One is here."""
        ...


class Bodies:
    """Takes bodies that are not too long, not too slow, and not too many bytes in all.

    What is announced is refused before it comes in, as the answer to `Expect: 100-continue` is;
    what is not announced, where the route reads it. FastAPI's own limit (`max_body_size`) answers
    plain text.

    Args:
        app: What is served. It answers a Refusal that is raised where it reads.
        most: How many bytes one may have.
        pending: How many all may have, until they are answered. One beside which there is no
            other is taken.
        seconds: How long one may take.
        observer: Is told of each.
    """

    def __init__(
        self, app: ASGIApp, *, most: int, pending: int, seconds: int, observer: Received
    ) -> None:
        self._app = app
        self._most = most
        self._pending = pending
        self._seconds = seconds
        self._observer = observer
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = header(scope, b"content-length")
        body = _Body(held=int(announced) if announced.isdecimal() else 0)
        if refusal := self._refusal(body.held):
            await refused_early(refusal)(scope, receive, send)
            return
        self._held += body.held
        clock = asyncio.get_running_loop().time
        begun = clock()

        async def received() -> Message:
            if body.is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(begun + self._seconds):
                    message = await receive()
            except TimeoutError as error:
                raise BodyTooSlowError(self._seconds) from error
            self._take(body, len(message.get("body", b"")))
            body.is_whole = not message.get("more_body", False)
            if body.is_whole and body.read:
                self._observer.received(clock() - begun)
            return message

        try:
            await self._app(scope, received, send)
        finally:
            self._held -= body.held

    def _take(self, body: _Body, count: int) -> None:
        body.read += count
        if body.read > body.held:
            more = body.read - body.held
            if refusal := self._refusal(more, held=body.held):
                raise refusal
            body.held += more
            self._held += more

    def _refusal(self, more: int, *, held: int = 0) -> Refusal | None:
        """Return why a request cannot have more bytes, if so.

        Args:
            more: How many.
            held: How many of it are held already.
        """
        if held + more > self._most:
            return BodyTooLargeError(self._most)
        others = self._held - held
        if more and others and others + held + more > self._pending:
            return BodiesPendingError(most=self._pending, seconds=RETRY_AFTER_SECONDS)
        return None


class _Body:
    """One request's body: how many bytes are counted, how many are read, whether all are."""

    def __init__(self, *, held: int) -> None:
        self.held = held
        self.read = 0
        self.is_whole = False
