"""The settings of upstreams: the part of `embedding_service.settings` that says who is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from embedding_service.setting import Kind, Setting, choice, number, place, words


def spaces() -> Kind:
    """Return the lists of vector spaces with their upstreams; see docs/openai.md."""

    def of_json(value: object) -> object:
        # Not with the module: whoever only needs a port does not wait for pydantic.
        from embedding_service.upstreams.declaration import declared_spaces  # noqa: PLC0415

        return declared_spaces(value)

    def of_text(text: str) -> object:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError("it is no JSON") from error
        return of_json(value)

    return Kind(
        rule="a list of vector spaces with their upstreams (docs/openai.md), as JSON",
        schema={"type": "array", "minItems": 1, "items": {"type": "object"}},
        of_text=of_text,
        of_json=of_json,
    )


@dataclass(frozen=True, kw_only=True)
class UpstreamSettings:
    """What the operator decides of the provider openai, and of the image of that name."""

    provider: Annotated[
        Literal["local", "openai"],
        Setting(
            "EMBEDDING_PROVIDER",
            choice("local", "openai"),
            "local: the image's own backend, with the model at hand; openai: upstreams that speak "
            "OpenAI's interface, whatever model the image has",
            changed_by="file",
        ),
    ] = "local"
    upstreams: Annotated[
        Sequence[Any],  # of DeclaredSpace, which is imported where it is needed
        Setting(
            "EMBEDDING_UPSTREAMS",
            spaces(),
            "the upstreams of the provider openai: who makes the vectors of which space",
            changed_by="file",
            default="the one that the EMBEDDING_OPENAI_ variables say",
        ),
    ] = ()
    openai_base_url: Annotated[
        str | None,
        Setting(
            "EMBEDDING_OPENAI_BASE_URL",
            words("an address such as https://HOST:PORT/v1, or several with spaces between them"),
            "where the one model is served that upstreams are asked for; of several addresses, the "
            "first is preferred, and each may replace the others",
            changed_by="file",
        ),
    ] = None
    openai_vector_space: Annotated[
        str | None,
        Setting(
            "EMBEDDING_OPENAI_VECTOR_SPACE",
            words("sha256:DIGEST or declared:NAME"),
            "the vector space that this model is declared to be of; EMBEDDING_MODEL and "
            "EMBEDDING_DIMENSIONS say the rest. The openai image's own model says it itself",
            changed_by="file",
        ),
    ] = None
    openai_api_key: Annotated[
        str | None,
        Setting(
            "EMBEDDING_OPENAI_API_KEY",
            words("a key"),
            "what these upstreams are sent as a bearer key",
            default="none is sent",
            is_secret=True,
        ),
    ] = field(default=None, repr=False)
    openai_api_key_file: Annotated[
        Path | None,
        Setting("EMBEDDING_OPENAI_API_KEY_FILE", place("a file"), "a file that holds this key"),
    ] = None
    openai_timeout: Annotated[
        int,
        Setting(
            "EMBEDDING_OPENAI_TIMEOUT",
            number(most=3600),
            "seconds after which upstreams are given up, all attempts together",
            changed_by="request",
        ),
    ] = 60
    openai_requests: Annotated[
        int,
        Setting(
            "EMBEDDING_OPENAI_REQUESTS",
            number(most=256),
            "how many requests there are to upstreams at a time",
            changed_by="request",
        ),
    ] = 8
