"""`POST /embed`: one text or image, one vector."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Self

from fastapi import FastAPI, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from embedding_service.answering import Answered, Question, answer
from embedding_service.fields import Fields
from embedding_service.inputs import Image, Input
from embedding_service.integers import Positive
from embedding_service.json_answers import json_answer
from embedding_service.problems import ErrorAnswer
from embedding_service.serving import Serving
from embedding_service.texts import Text

ExpectedSpace = Annotated[
    str | None,
    WithJsonSchema({"type": "string"}),
    Header(
        alias="Equivec-Expect-Vector-Space",
        description="the vector space that the client's other vectors are of: another one is 409",
    ),
]

BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

REFUSALS = (400, 408, 409, 413, 415, 422, 429, 500, 503)
"""The statuses of what is not embedded."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Equivec-Vector-Space": {
                "description": "only vectors of one space may be compared",
                "schema": {"type": "string"},
            },
            "Equivec-Precision": {
                "description": "the coarser of the weights' and of the numbers'",
                "schema": {"type": "string"},
            },
            "Equivec-Prompt": {
                "description": "which of the model's prompts was used, or `none`; all, if several",
                "schema": {"type": "string"},
            },
            "Equivec-Truncated": {
                "description": "whether a text was cut",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
        }
    },
    **{status: {"model": ErrorAnswer} for status in REFUSALS},
    **{
        status: {
            "model": ErrorAnswer,
            "headers": {
                "Retry-After": {
                    "description": "in how many seconds to ask again",
                    "schema": {"type": "integer"},
                }
            },
        }
        for status in (429, 503)
    },
}
"""What the OpenAPI document says of the answers of every route that embeds."""


class Options(Fields):
    """How an input is to be embedded."""

    input_type: Annotated[
        str | None, Field(description="which of the model's prompts to put before the text")
    ] = None
    dimensions: Annotated[
        Positive | None,
        Field(description="a shorter vector, where the model has such"),
    ] = None
    truncate: Annotated[bool, Field(description="cut a text that is too long")] = False


class EmbedRequest(Options):
    """A text or an image to embed.

    The empty string is a text: it embeds as the model's special tokens alone, which is what the
    libraries do too (a model without special tokens answers 422).
    """

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["text"]}, {"required": ["image"]}]},
    )

    text: Text = ""
    image: Annotated[
        str,
        Field(
            description="a file's bytes in base64; never an address",
            json_schema_extra={"pattern": BASE64},
        ),
    ] = ""

    @field_validator("image")
    @classmethod
    def _is_base64(cls, image: str) -> str:
        try:
            base64.b64decode(image, validate=True)
        except ValueError as error:
            raise PydanticCustomError(
                "base64", "an image is the bytes of its file in base64, without line breaks"
            ) from error
        return image

    @model_validator(mode="after")
    def _is_one_input(self) -> Self:
        if len(self.model_fields_set & {"text", "image"}) != 1:
            raise PydanticCustomError("one_input", "give either text or image")
        return self

    @property
    def given(self) -> Input:
        """What is to be embedded."""
        if "image" in self.model_fields_set:
            return Image(content=base64.b64decode(self.image))
        return self.text


class EmbedAnswer(BaseModel):
    """An input's vector, pooled and normalised by the model's recipe."""

    embedding: list[float]
    model: str
    dimension: int
    vector_space: Annotated[str, Field(description="only vectors of one space may be compared")]
    precision: str
    prompt: Annotated[str | None, Field(description="which of the model's prompts was used")]
    truncated: Annotated[bool, Field(description="whether the text was cut")]


def add_routes(app: FastAPI, serving: Serving) -> None:
    """Let an application embed single inputs."""

    async def embed_file(request: Request, expected: ExpectedSpace = None) -> Response:
        """Embed an image whose bytes are the body: the same address, by the content type."""
        image = Image(content=await request.body())
        return _response(await answer(serving, Question(inputs=[image], vector_space=expected)))

    app.router.add_api_route(
        *("/embed", embed_file),
        methods=["POST"],
        route_class_override=_ImageRoute,
        include_in_schema=False,  # it stands with the other, below
    )

    @app.post(
        "/embed",
        response_model=EmbedAnswer,
        responses=RESPONSES,
        openapi_extra={"requestBody": {"content": {"image/*": {}}}},
    )
    async def embed(request: EmbedRequest, expected: ExpectedSpace = None) -> Response:
        """Embed one text or image; a text longer than the model takes is cut only if asked to."""
        question = Question(
            inputs=[request.given],
            input_type=request.input_type,
            dimensions=request.dimensions,
            truncate=request.truncate,
            vector_space=expected,
        )
        return _response(await answer(serving, question))


def _response(answered: Answered) -> Response:
    content = {
        "embedding": answered.vectors[0],
        "model": answered.recipe.name,
        "dimension": answered.dimension,
        "vector_space": answered.vector_space,
        "precision": answered.precision,
        "prompt": answered.reads[0].prompt,
        "truncated": answered.is_truncated,
    }
    return json_answer(content, answered.headers)


class _ImageRoute(APIRoute):
    """A route for bodies that are images."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        content_type = Headers(scope=scope).get("content-type", "")
        if not content_type.lower().startswith("image/"):
            return Match.NONE, {}
        return super().matches(scope)
