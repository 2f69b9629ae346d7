"""OpenAI's interface for embeddings: `POST /v1/embeddings`, for clients that speak it.

https://platform.openai.com/docs/api-reference/embeddings. What it leaves out: input as tokens, a
shorter `dimensions`, and `usage`, since not every backend knows how many tokens a text has.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from embedding_service.embedder import Embedder, Vector
from embedding_service.errors import EmbeddingError, InputError, NotReadyError
from embedding_service.texts import Text

PATH = "/v1/embeddings"
MOST_INPUTS = 2048
"""OpenAI's own limit."""


class EmbeddingsRequest(BaseModel):
    """Texts to embed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS)]
    model: Annotated[str, Field(description="the name of the model that is served")]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int | None, Field(description="the model's own, if any")] = None
    user: Annotated[str | None, Field(description="not used")] = None


class Embedding(BaseModel):
    """A text's vector."""

    object: Literal["embedding"] = "embedding"
    index: Annotated[int, Field(description="of the text, from 0")]
    embedding: Annotated[
        list[float] | str, Field(description="numbers; or base64 of little-endian float32")
    ]


class EmbeddingsAnswer(BaseModel):
    """The vectors of the texts, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str


class OpenAIProblem(BaseModel):
    """Why a request was refused."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None = None
    code: Annotated[str, Field(description="the same as of /embed")]


class OpenAIErrorAnswer(BaseModel):
    """What every answer with a status from 400 on holds."""

    error: OpenAIProblem


def add_route(app: FastAPI, embedder: Embedder) -> None:
    """Let an application serve an embedder by this interface too."""
    recipe = embedder.recipe

    async def embeddings(request: EmbeddingsRequest) -> EmbeddingsAnswer:
        """Embed texts; one that is longer than the model takes is refused, never cut."""
        if request.model != recipe.name:
            raise HTTPException(404, f"the model that is served is {recipe.name}")
        if request.dimensions not in (None, recipe.dimension):
            raise HTTPException(400, f"a vector of {recipe.name} has {recipe.dimension} numbers")
        texts = [request.input] if isinstance(request.input, str) else request.input
        vectors = [asyncio.wrap_future(embedder.submit(text)) for text in texts]
        try:
            found = await asyncio.gather(*vectors)
        except asyncio.CancelledError as error:  # the grace after SIGTERM is over
            raise NotReadyError("the service is stopping") from error
        return EmbeddingsAnswer(
            model=recipe.name,
            data=[
                Embedding(index=index, embedding=_encoded(vector, request.encoding_format))
                for index, vector in enumerate(found)
            ],
        )

    app.router.add_api_route(
        *(PATH, embeddings),
        methods=["POST"],
        response_model=EmbeddingsAnswer,
        responses={
            status: {"model": OpenAIErrorAnswer} for status in (400, 404, 413, 422, 500, 503)
        },
        route_class_override=_Route,
    )


class _Route(APIRoute):
    """A route whose errors are answered as OpenAI's are."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await answer(request)
            except (
                *(NotReadyError, InputError, EmbeddingError),
                *(RequestValidationError, HTTPException),
            ) as error:
                return _as_openai(await _answer_to(error, request))

        return handler


async def _answer_to(error: Exception, request: Request) -> JSONResponse:
    """Return the application's own answer to an error."""
    handlers = request.app.exception_handlers
    handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    response: JSONResponse = await handler(request, error)
    return response


def _as_openai(response: JSONResponse) -> JSONResponse:
    own = json.loads(bytes(response.body))["error"]
    is_ours = response.status_code >= 500  # noqa: PLR2004 -- of HTTP's classes of statuses
    answer = OpenAIErrorAnswer(
        error=OpenAIProblem(
            message=own["message"],
            type="server_error" if is_ours else "invalid_request_error",
            code=own["code"],
        )
    )
    kept = {name: value for name, value in response.headers.items() if name == "retry-after"}
    return JSONResponse(answer.model_dump(), status_code=response.status_code, headers=kept)


def _encoded(vector: Vector, encoding_format: str) -> list[float] | str:
    if encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    numbers: list[float] = vector.tolist()
    return numbers
