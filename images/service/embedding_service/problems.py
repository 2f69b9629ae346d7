"""How errors are answered: a status, a code for programs, a sentence for people."""

from __future__ import annotations

import email.message
import http
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from embedding_service.errors import (
    DimensionsError,
    EmbeddingError,
    ImageError,
    ImageTooLargeError,
    InputError,
    NotReadyError,
    QueueFullError,
    RequestError,
    SettingsError,
    SpaceChangeError,
    SpaceMismatchError,
    StartError,
    TokenRangeError,
    TooLongError,
    TooManyInputsError,
    UncountedError,
    UnknownModelError,
    UnknownPromptError,
    UnsupportedInputError,
    UpstreamError,
)
from embedding_service.refusals import Refusal

RETRY_AFTER_SECONDS = 1

MOST_DESCRIBED = 8
"""How many of the things that are wrong with one request its answer names."""

_REFUSALS: Mapping[type[InputError], tuple[int, str]] = {
    ImageTooLargeError: (413, "image_too_large"),
    ImageError: (422, "image_refused"),
    UnsupportedInputError: (422, "input_not_supported"),
    UnknownPromptError: (422, "unknown_input_type"),
    TokenRangeError: (422, "unknown_token"),
    UncountedError: (422, "tokens_not_known"),
    InputError: (422, "text_refused"),
}
"""Status and code of what cannot be embedded; the first class that an error is of."""


_REFUSED_REQUESTS: Mapping[type[RequestError], tuple[int, str]] = {
    UnknownModelError: (404, "model_not_found"),
    TooManyInputsError: (413, "too_many_inputs"),
    SpaceMismatchError: (409, "vector_space_mismatch"),
    DimensionsError: (422, "unknown_dimensions"),
}


_FIELDS: Mapping[type[Exception], str] = {
    UnknownModelError: "model",
    DimensionsError: "dimensions",
    UnknownPromptError: "input_type",
}
"""The field that holds what is refused, where all routes call it the same."""


class Problem(BaseModel):
    """Why a request was refused: OpenAI's error object, on every route, with fields of our own."""

    code: Annotated[str, Field(description="stable, for programs")]
    message: Annotated[str, Field(description="for people; holds no part of the input")]
    type: Literal["invalid_request_error", "server_error"] = "invalid_request_error"
    param: Annotated[str | None, Field(description="the field that is wrong, if it is one")] = None
    tokens: Annotated[int | None, Field(description="of a text that is too long")] = None
    limit: Annotated[int | None, Field(description="of the model, in tokens")] = None
    index: Annotated[int | None, Field(description="of the input that is refused, from 0")] = None
    dimensions: Annotated[
        list[int] | None, Field(description="what the model has, where another one is asked for")
    ] = None
    vector_space: Annotated[
        str | None, Field(description="what is served, where another one is expected")
    ] = None


class ErrorAnswer(BaseModel):
    """What every answer with a status from 400 on holds."""

    error: Problem


def answer_errors(app: FastAPI) -> None:
    """Let the application answer each error with its status and an `ErrorAnswer`."""
    _answer_reloads(app)
    _answer_http(app)

    @app.exception_handler(NotReadyError)
    async def not_ready(_: Request, error: NotReadyError) -> JSONResponse:
        return unavailable(error)

    @app.exception_handler(TooLongError)
    async def too_long(_: Request, error: TooLongError) -> JSONResponse:
        problem = Problem(
            code="text_too_long",
            message=str(error),
            tokens=error.tokens,
            limit=error.limit,
            index=error.index,
        )
        return _answer(413, problem)

    @app.exception_handler(InputError)
    async def refused(_: Request, error: InputError) -> JSONResponse:
        status, code = next(
            answer for refusal, answer in _REFUSALS.items() if isinstance(error, refusal)
        )
        problem = Problem(
            code=code, message=str(error), param=_FIELDS.get(type(error)), index=error.index
        )
        return _answer(status, problem)

    @app.exception_handler(RequestError)
    async def refused_request(_: Request, error: RequestError) -> JSONResponse:
        status, code = _REFUSED_REQUESTS[type(error)]
        problem = Problem(
            code=code,
            message=str(error),
            param=_FIELDS.get(type(error)),
            dimensions=list(error.known) if isinstance(error, DimensionsError) else None,
            vector_space=error.actual if isinstance(error, SpaceMismatchError) else None,
        )
        return _answer(status, problem)

    @app.exception_handler(QueueFullError)
    async def queue_full(_: Request, error: QueueFullError) -> JSONResponse:
        problem = Problem(code="queue_full", message=str(error))
        return _answer(429, problem, {"Retry-After": str(error.seconds)})

    @app.exception_handler(UpstreamError)
    async def no_upstream(_: Request, error: UpstreamError) -> JSONResponse:
        problem = Problem(code="upstream_failed", message=str(error))
        return _answer(503, problem, {"Retry-After": str(error.seconds)})

    @app.exception_handler(EmbeddingError)
    async def failed(_: Request, error: EmbeddingError) -> JSONResponse:
        return _answer(500, Problem(code="embedding_failed", message=str(error)))


def refused_early(error: Refusal) -> JSONResponse:
    """Return the answer to a request that is refused before any route is asked."""
    problem = Problem(code=error.code, message=error.detail)
    return _answer(error.status_code, problem, error.headers)


def unavailable(error: NotReadyError) -> JSONResponse:
    """Return the answer where nothing can be embedded now."""
    problem = Problem(code="not_ready", message=str(error))
    return _answer(503, problem, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _answer_http(app: FastAPI) -> None:
    """Let the application answer what is wrong with a request before its route has it."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _invalid(request, error)

    @app.exception_handler(Refusal)
    async def early(_: Request, error: Refusal) -> JSONResponse:
        return refused_early(error)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        return _refused_by_http(error)

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> JSONResponse:
        message = "the service failed in a way that nothing foresaw; its log says where"
        return _answer(500, Problem(code="internal_error", message=message))


def _answer_reloads(app: FastAPI) -> None:
    @app.exception_handler(SpaceChangeError)
    async def space_change(_: Request, error: SpaceChangeError) -> JSONResponse:
        return _answer(409, Problem(code="vector_space_change", message=str(error)))

    @app.exception_handler(StartError)
    async def not_reloaded(_: Request, error: StartError) -> JSONResponse:
        is_setting = isinstance(error, SettingsError)
        status, code = (422, "setting_refused") if is_setting else (409, "model_refused")
        return _answer(status, Problem(code=code, message=str(error)))


def _answer(
    status: int, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    if status >= 500:  # noqa: PLR2004 -- of HTTP
        problem = problem.model_copy(update={"type": "server_error"})
    fields = problem.model_dump().items()
    shown = {name: value for name, value in fields if value is not None or name == "param"}
    return JSONResponse({"error": shown}, status_code=status, headers=headers)


def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """Return the answer to a request that is not as its route describes."""
    if isinstance(error.__cause__, json.JSONDecodeError):
        return _unreadable(error.__cause__)
    problems = error.errors()
    first = problems[0]
    if first["loc"] == ("body",) and first["type"] != "missing" and not _is_json(request):
        message = "the body must be JSON, announced as Content-Type: application/json"
        return _answer(415, Problem(code="unsupported_media_type", message=message))
    if first["type"] == "too_long":  # of lists, and only those of inputs have a limit
        return _answer(413, Problem(code="too_many_inputs", message=_described(first)))
    described = [_described(problem) for problem in problems[:MOST_DESCRIBED]]
    more = len(problems) - len(described)
    message = "; ".join([*described, *([f"and {more} more"] if more else [])])
    return _answer(422, Problem(code="invalid_request", message=message, param=_param(first)))


def _refused_by_http(error: HTTPException) -> JSONResponse:
    if error.status_code == 400 and error.__cause__:  # noqa: PLR2004 -- FastAPI's, of a body
        return _unreadable(error.__cause__)
    phrase = http.HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_")
    return _answer(error.status_code, Problem(code=code, message=error.detail), error.headers)


def _unreadable(reason: BaseException) -> JSONResponse:
    """Return the answer to a body that is no JSON."""
    match reason:
        case json.JSONDecodeError():
            why = f"{reason.msg}, at character {reason.pos}"
        case UnicodeDecodeError():
            why = f"it is not UTF-8, at byte {reason.start}"
        case RecursionError():
            why = "it is nested too deeply"
        case _:
            why = "it holds what cannot be read, such as a number of thousands of digits"
    return _answer(400, Problem(code="invalid_json", message=f"the body is not JSON: {why}"))


def _is_json(request: Request) -> bool:
    """Tell whether a request says that its body is JSON: by the same rule as FastAPI does."""
    message = email.message.Message()
    message["content-type"] = request.headers.get("content-type", "")
    subtype = message.get_content_subtype()
    is_application = message.get_content_maintype() == "application"
    return is_application and (subtype == "json" or subtype.endswith("+json"))


def _param(problem: Mapping[str, Any]) -> str | None:
    """Return the name of the field, or header, that a problem is in."""
    return _place(problem["loc"][1:2]) or None


def _place(steps: Sequence[object]) -> str:
    """Return where something is; an unknown field's name may be anything."""
    place = ".".join(str(step)[:60] for step in steps)
    return place.encode("ascii", "backslashreplace").decode("ascii")


def _described(problem: Mapping[str, Any]) -> str:
    """Say what is wrong where, without the input."""
    place = _place(problem["loc"])
    detail = problem.get("ctx", {}).get("error")
    return f"{place}: {problem['msg']}" + (f" ({detail})" if detail else "")
