"""What schemathesis loads beside its own checks: `SCHEMATHESIS_HOOKS` names this module."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.transport import Response

MALFORMED = {"invalid_request", "invalid_json", "unsupported_media_type"}
"""The codes that say that a request is not as the document describes it."""

ANSWERS = "EQUIVEC_TEST_ANSWERS"
"""The environment variable of the file in which each answer has a line."""

EXPECTED = "Equivec-Expect-Vector-Space"

SPACE = "EQUIVEC_TEST_SPACE"
"""The environment variable of the vector space that is served."""

KNOWN: Mapping[str, str | int] = {"model": "tiny", "input_type": "query", "dimensions": 1}
"""What is served: no document tells it, and it can hardly be guessed."""


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], _: Any) -> None:
    """Ask for what is served in half of the requests."""
    if zlib.crc32(repr((case.body, case.headers)).encode("utf-8", "replace")) % 2:
        return
    if isinstance(case.body, dict):
        likes = (name for name, known in KNOWN.items() if _is_like(case.body.get(name), known))
        case.body = case.body | {name: KNOWN[name] for name in likes}
    if EXPECTED in case.headers:
        case.headers[EXPECTED] = os.environ[SPACE]


@schemathesis.check
def what_the_document_allows_is_well_formed(
    context: CheckContext, response: Response, case: schemathesis.Case[Any]
) -> None:
    """Refuse only what the model or its limits rule out, of what the document allows."""
    with Path(os.environ[ANSWERS]).open("a", encoding="utf-8") as file:
        file.write(f"{case.method} {case.path} {response.status_code}\n")
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code < 400:
        return
    code = response.json()["error"]["code"]
    assert code not in MALFORMED, f"the document allows this, and the answer is {code}"


def _is_like(value: object, known: str | int) -> bool:
    """Tell whether a value is of the same type, and no worse."""
    return type(value) is type(known) and (isinstance(value, str) or value > 0)
