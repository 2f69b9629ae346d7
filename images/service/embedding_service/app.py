"""The HTTP interface: routes, and what they take and answer."""

from __future__ import annotations

import asyncio
import base64
import math
import platform
from typing import Annotated, Literal, Self

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from embedding_service import contract, openai_api
from embedding_service.body_limit import BodyLimit, BodyTooLargeError
from embedding_service.embedder import Embedder
from embedding_service.errors import ImageTooLargeError, NotReadyError
from embedding_service.inputs import Image, Input
from embedding_service.problems import ErrorAnswer, answer_errors, body_too_large
from embedding_service.texts import Text


class EmbedRequest(BaseModel):
    """A text or an image to embed.

    The empty string is a text: it embeds as the model's special tokens alone, which is what the
    libraries do too (a model without special tokens answers 422).
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"oneOf": [{"required": ["text"]}, {"required": ["image"]}]},
    )

    text: Text = ""
    image: Annotated[str, Field(description="a file's bytes in base64; never an address")] = ""

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
        if len(self.model_fields_set) != 1:
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


class Health(BaseModel):
    """What is served, and whether it can be yet."""

    status: Literal["healthy", "degraded"]
    embedding_model_loaded: bool
    model: str
    dimension: int
    inputs: Annotated[list[str], Field(description="what it makes vectors of: text, image")]
    vector_space: str
    precision: str
    backend: str
    libraries: Annotated[dict[str, str], Field(description="versions that decide the vectors")]
    architecture: Annotated[str, Field(description="of the processor, as `uname -m` names it")]
    runtime: Annotated[
        dict[str, str],
        Field(description="what the backend computes with here; empty until the model is loaded"),
    ]


def create_app(embedder: Embedder, *, max_image_bytes: int) -> FastAPI:
    """Return the application that serves an embedder.

    Args:
        embedder: What embeds.
        max_image_bytes: How long the file of an image may be.
    """
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
        inputs=list(recipe.inputs),
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

    async def answer(given: Input) -> EmbedAnswer:
        if isinstance(given, Image) and len(given.content) > max_image_bytes:
            raise ImageTooLargeError(f"the image has more than {max_image_bytes} bytes", index=0)
        try:
            vector = await asyncio.wrap_future(embedder.submit(given))
        except asyncio.CancelledError as error:  # the grace after SIGTERM is over
            raise NotReadyError("the service is stopping") from error
        return EmbedAnswer(embedding=vector.tolist(), model=recipe.name, dimension=recipe.dimension)

    async def embed_file(request: Request) -> EmbedAnswer:
        """Embed an image whose bytes are the body: the same address, by the content type."""
        return await answer(Image(content=await request.body()))

    app.router.add_api_route(
        *("/embed", embed_file),
        methods=["POST"],
        route_class_override=_ImageRoute,
        include_in_schema=False,  # it stands with the other, below
    )

    @app.post(
        "/embed",
        responses={status: {"model": ErrorAnswer} for status in (400, 413, 422, 500, 503)},
        openapi_extra={"requestBody": {"content": {"image/*": {}}}},
    )
    async def embed(request: EmbedRequest) -> EmbedAnswer:
        """Embed one text or image; a text longer than the model takes is refused, never cut."""
        return await answer(request.given)

    openai_api.add_route(app, embedder)
    answer_errors(app)
    # An image in base64, and room for the JSON around it.
    most = 4 * math.ceil(max_image_bytes / 3) + 2**16
    app.add_middleware(BodyLimit, most=most, refusal=body_too_large(BodyTooLargeError(most)))
    return app


class _ImageRoute(APIRoute):
    """A route for bodies that are images."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        content_type = Headers(scope=scope).get("content-type", "")
        if not content_type.lower().startswith("image/"):
            return Match.NONE, {}
        return super().matches(scope)
