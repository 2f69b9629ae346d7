"""Answers in JSON that hold vectors: written from the arrays themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response


def json_answer(content: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """Return an answer; a number is written with as many digits as its type needs.

    Args:
        content: May hold arrays of float32 or float16.
        headers: Besides those of every answer.
    """
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json", headers=dict(headers))
