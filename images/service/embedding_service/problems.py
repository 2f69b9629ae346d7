"""How errors are answered: a status, a code for programs, a sentence for people."""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from embedding_service.body_limit import BodyTooLargeError
from embedding_service.errors import (
    EmbeddingError,
    ImageError,
    ImageTooLargeError,
    InputError,
    NotReadyError,
    TooLongError,
    UnsupportedInputError,
)

RETRY_AFTER_SECONDS = 1

_REFUSALS: Mapping[type[InputError], tuple[int, str]] = {
    ImageTooLargeError: (413, "image_too_large"),
    ImageError: (422, "image_refused"),
    UnsupportedInputError: (422, "input_not_supported"),
    InputError: (422, "text_refused"),
}
"""Status and code of what cannot be embedded; the first class that an error is of."""


class Problem(BaseModel):
    """Why a request was refused."""

    code: Annotated[str, Field(description="stable, for programs")]
    message: Annotated[str, Field(description="for people; holds no part of the input")]
    tokens: Annotated[int | None, Field(description="of a text that is too long")] = None
    limit: Annotated[int | None, Field(description="of the model, in tokens")] = None


class ErrorAnswer(BaseModel):
    """What every answer with a status from 400 on holds."""

    error: Problem


def answer_errors(app: FastAPI) -> None:
    """Let the application answer each error with its status and an `ErrorAnswer`."""

    @app.exception_handler(NotReadyError)
    async def not_ready(_: Request, error: NotReadyError) -> JSONResponse:
        problem = Problem(code="not_ready", message=str(error))
        return _answer(503, problem, {"Retry-After": str(RETRY_AFTER_SECONDS)})

    @app.exception_handler(TooLongError)
    async def too_long(_: Request, error: TooLongError) -> JSONResponse:
        problem = Problem(
            code="text_too_long", message=str(error), tokens=error.tokens, limit=error.limit
        )
        return _answer(413, problem)

    @app.exception_handler(InputError)
    async def refused(_: Request, error: InputError) -> JSONResponse:
        status, code = next(
            answer for refusal, answer in _REFUSALS.items() if isinstance(error, refusal)
        )
        return _answer(status, Problem(code=code, message=str(error)))

    @app.exception_handler(EmbeddingError)
    async def failed(_: Request, error: EmbeddingError) -> JSONResponse:
        return _answer(500, Problem(code="embedding_failed", message=str(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(_described(problem) for problem in error.errors())
        return _answer(422, Problem(code="invalid_request", message=problems))

    @app.exception_handler(BodyTooLargeError)
    async def too_large(_: Request, error: BodyTooLargeError) -> JSONResponse:
        return body_too_large(error)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        phrase = http.HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_")
        return _answer(error.status_code, Problem(code=code, message=error.detail), error.headers)


def body_too_large(error: BodyTooLargeError) -> JSONResponse:
    """Return the answer to a request whose body is too long."""
    return _answer(error.status_code, Problem(code="body_too_large", message=error.detail))


def _answer(
    status: int, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    content = ErrorAnswer(error=problem).model_dump(exclude_none=True)
    return JSONResponse(content, status_code=status, headers=headers)


def _described(problem: Mapping[str, Any]) -> str:
    """Say what is wrong where, without the input; an unknown field's name may be anything."""
    place = ".".join(str(step)[:60] for step in problem["loc"])
    place = place.encode("ascii", "backslashreplace").decode("ascii")
    detail = problem.get("ctx", {}).get("error")
    return f"{place}: {problem['msg']}" + (f" ({detail})" if detail else "")
