"""The HTTP interface: routes, what they take and answer, and how errors are answered."""

from __future__ import annotations

import asyncio
import http
import platform
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException

from embedding_service import contract
from embedding_service.embedder import Embedder
from embedding_service.errors import EmbeddingError, InputError, NotReadyError, TooLongError

RETRY_AFTER_SECONDS = 1


class EmbedRequest(BaseModel):
    """A text to embed.

    The empty string is a text: it embeds as the model's special tokens alone, which is what the
    libraries do too (a model without special tokens answers 422).
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str

    @field_validator("text")
    @classmethod
    def _is_text(cls, text: str) -> str:
        if "\0" in text:
            raise PydanticCustomError("nul", "a text cannot hold NUL characters")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PydanticCustomError("surrogate", "a text cannot hold lone surrogates") from error
        return text


class EmbedAnswer(BaseModel):
    """A text's vector, pooled and normalised by the model's recipe."""

    embedding: list[float]
    model: str
    dimension: int


class Health(BaseModel):
    """What is served, and whether it can be yet."""

    status: Literal["healthy", "degraded"]
    embedding_model_loaded: bool
    model: str
    dimension: int
    vector_space: str
    precision: str
    backend: str
    libraries: Annotated[dict[str, str], Field(description="versions that decide the vectors")]
    architecture: Annotated[str, Field(description="of the processor, as `uname -m` names it")]
    runtime: Annotated[
        dict[str, str],
        Field(description="what the backend computes with here; empty until the model is loaded"),
    ]


class Problem(BaseModel):
    """Why a request was refused."""

    code: Annotated[str, Field(description="stable, for programs")]
    message: Annotated[str, Field(description="for people; holds no part of the text")]
    tokens: Annotated[int | None, Field(description="of a text that is too long")] = None
    limit: Annotated[int | None, Field(description="of the model, in tokens")] = None


class ErrorAnswer(BaseModel):
    """What every answer with a status from 400 on holds."""

    error: Problem


def create_app(embedder: Embedder) -> FastAPI:
    """Return the application that serves an embedder."""
    app = FastAPI(
        title="Equivec embedding service",
        # The documentation pages load scripts from elsewhere; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
        # FastAPI's spans and events would hold the texts of refused requests.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    recipe = embedder.recipe
    health = Health(
        status="degraded",
        embedding_model_loaded=False,
        model=recipe.name,
        dimension=recipe.dimension,
        vector_space=recipe.vector_space,
        precision=recipe.precision,
        backend=embedder.backend.name,
        libraries=contract.library_versions(embedder.backend),
        architecture=platform.machine(),
        runtime={},
    )

    @app.get("/health")
    async def get_health() -> Health:
        """Always 200 while the process lives; `degraded` until the model is loaded."""
        if not embedder.is_ready:
            return health
        return health.model_copy(
            update={
                "status": "healthy",
                "embedding_model_loaded": True,
                "runtime": dict(embedder.runtime),
            }
        )

    @app.post(
        "/embed",
        responses={status: {"model": ErrorAnswer} for status in (400, 413, 422, 500, 503)},
    )
    async def embed(request: EmbedRequest) -> EmbedAnswer:
        """Embed one text; a text longer than the model takes is refused, never cut."""
        try:
            vector = await asyncio.wrap_future(embedder.submit(request.text))
        except asyncio.CancelledError as error:  # the grace after SIGTERM is over
            raise NotReadyError("the service is stopping") from error
        return EmbedAnswer(embedding=vector.tolist(), model=recipe.name, dimension=recipe.dimension)

    _answer_errors(app)
    return app


def _answer_errors(app: FastAPI) -> None:
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
        return _answer(422, Problem(code="text_refused", message=str(error)))

    @app.exception_handler(EmbeddingError)
    async def failed(_: Request, error: EmbeddingError) -> JSONResponse:
        return _answer(500, Problem(code="embedding_failed", message=str(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(_described(problem) for problem in error.errors())
        return _answer(422, Problem(code="invalid_request", message=problems))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        phrase = http.HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_")
        return _answer(error.status_code, Problem(code=code, message=error.detail), error.headers)


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
