"""The limit of a request's body: what is longer is refused before it is in memory."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyTooLargeError(HTTPException):
    """A request's body is longer than the limit.

    Args:
        most: The limit in bytes.
    """

    def __init__(self, most: int) -> None:
        super().__init__(413, f"the request's body has more than {most} bytes")


class BodyLimit:
    """Refuses longer bodies.

    FastAPI's own limit (`max_body_size`) answers plain text where the length is announced.

    Args:
        app: What is served. It answers a BodyTooLargeError, which is raised where the body is
            read that came without a length.
        most: The limit in bytes.
        refusal: The answer to a request that announces a longer body.
    """

    def __init__(self, app: ASGIApp, *, most: int, refusal: Response) -> None:
        self._app = app
        self._most = most
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > self._most:
            await self._refusal(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise BodyTooLargeError(self._most)
            return message

        await self._app(scope, counted, send)
