"""Headers, read as the server hands them over: some layers look at one of them in each request."""

from __future__ import annotations

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str:
    """Return the value of a request's header, or nothing.

    Args:
        scope: The request's.
        name: In small letters.
    """
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""
