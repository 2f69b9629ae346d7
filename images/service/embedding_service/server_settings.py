"""The settings of the server: the part of `embedding_service.settings` on clients and logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from embedding_service.setting import Setting, choice, number, place, switch, words


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What the operator decides of who is answered, how long that may take, and what is logged."""

    host: Annotated[
        str,
        Setting(
            "EMBEDDING_SERVER_HOST",
            words("a name or an address"),
            "the address to listen on; the images set 0.0.0.0",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Setting("EMBEDDING_SERVER_PORT", number(most=65535), "the port to listen on")
    ] = 8080
    receive_seconds: Annotated[
        int,
        Setting(
            "EMBEDDING_RECEIVE_SECONDS",
            number(most=3600),
            "how long a request may take to come in, and an answer to be taken",
        ),
    ] = 30
    pending_bytes: Annotated[
        int,
        Setting(
            "EMBEDDING_PENDING_BYTES",
            number(most=10**12),
            "how many bytes the bodies of all requests that are not answered yet may have; a "
            "request beside which there is no other is always taken",
        ),
    ] = 2**28
    grace_seconds: Annotated[
        int,
        Setting(
            "EMBEDDING_GRACE_SECONDS",
            number(most=3600),
            "how long requests in flight may take after SIGTERM (`docker stop` kills after 10)",
        ),
    ] = 7
    api_keys: Annotated[
        str | None,
        Setting(
            "EMBEDDING_API_KEYS",
            words("keys, with commas between them"),
            "bearer keys, one of which every request but those of health needs",
            default="none: everybody may ask",
            is_secret=True,
        ),
    ] = field(default=None, repr=False)
    api_keys_file: Annotated[
        Path | None,
        Setting(
            "EMBEDDING_API_KEYS_FILE", place("a file"), "a file of such keys, one on each line"
        ),
    ] = None
    admin_token: Annotated[
        str | None,
        Setting(
            "EMBEDDING_ADMIN_TOKEN",
            words("a key"),
            "the bearer key of /admin/, which no other key opens",
            default="none: there is no /admin/",
            is_secret=True,
        ),
    ] = field(default=None, repr=False)
    admin_token_file: Annotated[
        Path | None,
        Setting("EMBEDDING_ADMIN_TOKEN_FILE", place("a file"), "a file of such keys"),
    ] = None
    log_format: Annotated[
        Literal["json", "text"],
        Setting(
            "EMBEDDING_LOG_FORMAT",
            choice("json", "text"),
            "of the log on standard error: an object for each line, or a sentence",
        ),
    ] = "json"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Setting(
            "EMBEDDING_LOG_LEVEL",
            choice("debug", "info", "warning", "error"),
            "what is logged: from this level on",
        ),
    ] = "info"
    log_requests: Annotated[
        bool,
        Setting(
            "EMBEDDING_LOG_REQUESTS",
            switch(),
            "whether each request is logged, of the level info; those of health and metrics are "
            "of the level debug",
        ),
    ] = True
