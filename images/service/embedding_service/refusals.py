"""Refusals: requests that are answered before any route is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from starlette.exceptions import HTTPException


class Refusal(HTTPException):
    """A request is refused for what is known of it without its content.

    It is an HTTPException because it may be raised where a body is read, and FastAPI answers any
    other exception there with 400.

    Args:
        message: Why, for people.
        headers: Of the answer.
    """

    status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.status, message, headers)


class UnauthorizedError(Refusal):
    """A request lacks its key.

    Args:
        given: Whether it has another one.
    """

    status = 401
    code = "unauthorized"

    def __init__(self, *, given: bool) -> None:
        # https://www.rfc-editor.org/rfc/rfc6750#section-3
        error = ', error="invalid_token"' if given else ""
        what = "the key is none of those" if given else "there is no key"
        super().__init__(
            f"{what} that this route needs; send one as Authorization: Bearer KEY",
            {"WWW-Authenticate": f'Bearer realm="equivec"{error}'},
        )


class BodyTooLargeError(Refusal):
    """A request's body is longer than the limit.

    Args:
        most: The limit in bytes.
    """

    status = 413
    code = "body_too_large"

    def __init__(self, most: int) -> None:
        super().__init__(f"the request's body has more than {most} bytes")


class BodyTooSlowError(Refusal):
    """A request's body did not come in in time.

    Args:
        seconds: How long it could take.
    """

    status = 408
    code = "request_too_slow"

    def __init__(self, seconds: int) -> None:
        message = f"the request's body did not come in within {seconds} s"
        # The rest of the body would be taken for the next request.
        super().__init__(message, {"Connection": "close"})


class BodiesPendingError(Refusal):
    """The bodies of the requests in flight have as many bytes as are held at a time.

    Args:
        most: How many those are.
        seconds: After which to ask again.
    """

    status = 429
    code = "too_many_bytes_in_flight"

    def __init__(self, *, most: int, seconds: int) -> None:
        message = f"the requests in flight have {most} bytes already; ask again in {seconds} s"
        super().__init__(message, {"Retry-After": str(seconds)})
