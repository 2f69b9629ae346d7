"""OpenAI's interface: `POST /v1/embeddings` and `GET /v1/models`, for clients that speak it.

https://platform.openai.com/docs/api-reference/embeddings and, beside it, /models. Errors need
nothing here: all routes answer them with OpenAI's error object.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Discriminator, Field, Tag

from embedding_service.answering import Answered, Question, answer
from embedding_service.errors import UnknownModelError
from embedding_service.inputs import Asked, TokenIds
from embedding_service.integers import NotNegative
from embedding_service.json_answers import json_answer
from embedding_service.problems import ErrorAnswer
from embedding_service.recipe import Recipe
from embedding_service.routes.embed import RESPONSES, ExpectedSpace, Options
from embedding_service.serving import Serving
from embedding_service.texts import Text

MOST_INPUTS = 100_000
"""More than any setting allows: they are refused before they are looked at."""

Texts = Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS, fail_fast=True)]
Tokens = Annotated[list[NotNegative], Field(fail_fast=True)]
ListsOfTokens = Annotated[list[Tokens], Field(min_length=1, max_length=MOST_INPUTS, fail_fast=True)]


def _form(given: object) -> str | None:
    """Return which of the forms of `input` is meant, so that an error is of that one alone."""
    match given:
        case str():
            return "text"
        case [int() | float(), *_]:
            return "tokens"
        case [list(), *_]:
            return "lists_of_tokens"
        case list():
            return "texts"
        case _:
            return None


class EmbeddingsRequest(Options):
    """Texts to embed, as they are or as the model's own tokens.

    The empty string is a text, as for /embed, and no tokens are the tokens of it. `input_type` and
    `truncate` are not OpenAI's.
    """

    input: Annotated[
        Annotated[Text, Tag("text")]
        | Annotated[Texts, Tag("texts")]
        | Annotated[Tokens, Field(min_length=1), Tag("tokens")]
        | Annotated[ListsOfTokens, Tag("lists_of_tokens")],
        Discriminator(
            _form,
            custom_error_type="input_form",
            custom_error_message="an input is a text, texts, tokens, or lists of tokens",
        ),
    ]
    model: Annotated[str, Field(description="the name of the model that is served")]
    encoding_format: Literal["float", "base64"] = "float"
    user: Annotated[str | None, Field(description="not used")] = None

    @property
    def asked(self) -> list[Asked]:
        """What is to be embedded."""
        if isinstance(self.input, str):
            return [self.input]
        if isinstance(self.input[0], int):
            return [TokenIds(ids=self.input)]
        return [each if isinstance(each, str) else TokenIds(ids=each) for each in self.input]


class Embedding(BaseModel):
    """A text's vector."""

    object: Literal["embedding"] = "embedding"
    index: Annotated[int, Field(description="of the text, from 0")]
    embedding: Annotated[
        list[float] | str, Field(description="numbers; or base64 of little-endian float32")
    ]


class Usage(BaseModel):
    """How many tokens the texts have, prompts and special tokens included.

    0 where an upstream embeds the texts: the tokens are not known here.
    """

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """The vectors of the texts, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class Model(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="not known: 0")] = 0
    owned_by: Literal["equivec"] = "equivec"


class Models(BaseModel):
    """The models that are served: one."""

    object: Literal["list"] = "list"
    data: list[Model]


def add_routes(app: FastAPI, serving: Serving) -> None:
    """Let an application be used by OpenAI's clients."""

    @app.post(
        "/v1/embeddings",
        response_model=EmbeddingsAnswer,
        responses={**RESPONSES, 404: {"model": ErrorAnswer}},
    )
    async def embeddings(request: EmbeddingsRequest, expected: ExpectedSpace = None) -> Response:
        """Embed texts; one that is longer than the model takes is cut only if asked to."""
        _check_model(request.model, serving.current.recipe)
        question = Question(
            inputs=request.asked,
            input_type=request.input_type,
            truncate=request.truncate,
            dimensions=request.dimensions,
            vector_space=expected,
        )
        answered = await answer(serving, question)
        return json_answer(_content(answered, request.encoding_format), answered.headers)

    @app.get("/v1/models")
    async def list_models() -> Models:
        """List the model that is served, also while it is loading."""
        return Models(data=[Model(id=serving.current.recipe.name)])

    # A model's name may hold slashes. (A path is always valid: 422 stands for FastAPI's own.)
    @app.get(
        "/v1/models/{model:path}",
        responses={status: {"model": ErrorAnswer} for status in (404, 422)},
    )
    async def get_model(model: str) -> Model:
        """Describe the model that is served."""
        _check_model(model, serving.current.recipe)
        return Model(id=model)


def _check_model(asked: str, recipe: Recipe) -> None:
    if asked != recipe.name:
        raise UnknownModelError(served=recipe.name)


def _content(answered: Answered, encoding_format: str) -> dict[str, Any]:
    encoded = _base64 if encoding_format == "base64" else _numbers
    return {
        "object": "list",
        "model": answered.recipe.name,
        "data": [
            {"object": "embedding", "index": index, "embedding": encoded(vector)}
            for index, vector in enumerate(answered.vectors)
        ],
        "usage": {"prompt_tokens": answered.tokens, "total_tokens": answered.tokens},
    }


Vector = NDArray[np.float32] | NDArray[np.float16]


def _numbers(vector: Vector) -> Vector:
    return vector


def _base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
