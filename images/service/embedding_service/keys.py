"""Keys: who may ask what.

Where bearer keys are set, every route but those of health needs one of them. `/admin/` needs the
administrator's token, and no other key opens it; where there is no token, nothing is served there.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from embedding_service.errors import SettingsError
from embedding_service.headers import header
from embedding_service.problems import refused_early
from embedding_service.refusals import UnauthorizedError
from embedding_service.settings import Settings

OPEN = frozenset({"/health", "/health/live", "/health/ready"})
"""What needs no key: what asks for it is no user."""

_ADMIN = "/admin/"
# https://www.rfc-editor.org/rfc/rfc6750#section-2.1
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


_UNAUTHORIZED = {
    "description": "the key is missing, or another one",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}},
}


class Keys:
    """Bearer keys. Of each only its digest is kept, and how long comparing takes tells nothing.

    Args:
        keys: The keys; none: nobody has one.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._digests)

    def hold(self, authorization: str) -> bool:
        """Return whether a request's Authorization header has one of them."""
        scheme, _, credentials = authorization.partition(" ")
        given = _digest(credentials.strip().encode("latin-1"))
        # All are compared, whichever it is.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return scheme.lower() == "bearer" and any(matches)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask what.

    Attributes:
        users: The keys for all routes but /admin/; none: everybody may ask.
        administrators: The keys for /admin/; none: it is not served.
    """

    users: Keys
    administrators: Keys

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read the keys that the settings give and the files that they name.

        Raises:
            SettingsError: A file cannot be read or has no key, a key is none that a client can
                send, or an administrator's key is a user's too. No message holds a key.
        """
        users = [
            *_listed("EMBEDDING_API_KEYS", settings.api_keys),
            *_in_file("EMBEDDING_API_KEYS_FILE", settings.api_keys_file),
        ]
        administrators = [
            *_listed("EMBEDDING_ADMIN_TOKEN", settings.admin_token),
            *_in_file("EMBEDDING_ADMIN_TOKEN_FILE", settings.admin_token_file),
        ]
        if set(users) & set(administrators):
            raise SettingsError(
                "the administrator's token is one of the users' keys: every user would be an "
                "administrator"
            )
        return cls(users=Keys(users), administrators=Keys(administrators))

    def needed(self, path: str) -> Keys | None:
        """Return the keys of which a request for a path needs one; None: it needs none."""
        match kind(path):
            case "administrator":
                return self.administrators or None
            case "user":
                return self.users or None
            case "open":
                return None


def kind(path: str) -> Literal["open", "user", "administrator"]:
    """Return who may ask for a path."""
    if path in OPEN:
        return "open"
    return "administrator" if path.startswith(_ADMIN) else "user"


class Gate:
    """Answers requests that lack their key, before anything of their bodies is read.

    Args:
        app: What is served.
        access: Who may ask what.
    """

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        served = self._app
        if scope["type"] == "http" and (needed := self._access.needed(scope["path"])):
            given = header(scope, b"authorization")
            if not needed.hold(given):
                served = refused_early(UnauthorizedError(given=bool(given)))
        await served(scope, receive, send)


def describe(app: FastAPI, access: Access) -> None:
    """Let an application's OpenAPI document say which routes need which key."""
    documented = app.openapi

    def described() -> dict[str, Any]:
        document = documented()
        needing = {path: kind(path) for path in document["paths"] if access.needed(path)}
        if needing:
            schemes = document["components"].setdefault("securitySchemes", {})
            schemes |= {name: {"type": "http", "scheme": "bearer"} for name in needing.values()}
        for path, name in needing.items():
            for operation in document["paths"][path].values():
                operation["security"] = [{name: []}]
                operation["responses"]["401"] = _UNAUTHORIZED
        return document

    # FastAPI's own way to extend it: https://fastapi.tiangolo.com/how-to/extending-openapi
    app.openapi = described  # type: ignore[method-assign]


def _listed(variable: str, value: str | None) -> Sequence[str]:
    keys = [key.strip() for key in (value or "").split(",")]
    return _checked(variable, keys) if value else []


def _in_file(variable: str, path: Path | None) -> Sequence[str]:
    """Return a file's keys: one a line; empty lines and lines that begin with # are none."""
    if path is None:
        return []
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{variable}: {path} is no text in UTF-8") from error
    return _checked(variable, [line for line in lines if line and not line.startswith("#")])


def _checked(variable: str, keys: Sequence[str]) -> Sequence[str]:
    if not keys:
        raise SettingsError(f"{variable} has no key: every request would be refused")
    for number, key in enumerate(keys, start=1):
        if not _TOKEN.fullmatch(key):
            raise SettingsError(
                f"{variable}: key {number} is none that a client can send: a key is letters, "
                "digits and any of -._~+/, with = only at its end"
            )
    return keys


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
