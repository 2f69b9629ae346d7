"""Logs: one line on standard error for each event, and never a part of a text.

What a library puts into the message of its exception may be a text that it was given: of
exceptions, only their types and places are logged.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal

REQUEST_ID: ContextVar[str | None] = ContextVar("REQUEST_ID", default=None)
"""The id of the request that is being answered."""

_FIELDS = "fields"
_encoded = json.JSONEncoder(ensure_ascii=False, default=str).encode


def begin(form: Literal["json", "text"], level: str) -> None:
    """Log to standard error, from now on.

    Args:
        form: An object for each line, or a sentence.
        level: Nothing below is logged: debug, info, warning or error.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    own = logging.getLevelNamesMapping()[level.upper()]
    # Of libraries only warnings: they say below what they were given.
    logging.basicConfig(level=max(own, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger(__package__).setLevel(own)
    logging.captureWarnings(capture=True)


def fields(values: Mapping[str, object]) -> dict[str, object]:
    """Return the argument `extra` of a logger that adds values to a line."""
    return {_FIELDS: values}


class JsonLines(logging.Formatter):
    """Writes a JSON object, with the time in UTC, the level and the message at least."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        return _encoded(
            {
                "time": _time(record),
                "level": record.levelname.lower(),
                "message": _message(record),
                **_more(record),
            }
        )


class TextLines(logging.Formatter):
    """Writes the time in UTC, the level, the message, and then what else there is to say."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        said = [_time(record), record.levelname, _message(record)]
        more = [f"{name}={_encoded(value)}" for name, value in _more(record).items()]
        return " ".join([*said, *more])


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03}Z"


def _message(record: logging.LogRecord) -> str:
    """Return the first line: in what follows it, libraries show the values that they had."""
    return next(iter(record.getMessage().splitlines()), "")


def _more(record: logging.LogRecord) -> Mapping[str, Any]:
    more: dict[str, Any] = {}
    if request_id := REQUEST_ID.get():
        more["request_id"] = request_id
    more |= getattr(record, _FIELDS, {})
    if record.exc_info and record.exc_info[1]:
        more["exception"] = list(_traces(record.exc_info[1]))
    return more


def _traces(error: BaseException) -> Iterator[Mapping[str, str | Sequence[str]]]:
    """Yield the type and the places of an exception and of those that led to it."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield {
            "type": type(following).__name__,
            "at": [
                f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
                for frame, line in traceback.walk_tb(following.__traceback__)
            ],
        }
        following = following.__cause__ or following.__context__
