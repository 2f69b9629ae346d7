"""`POST /embedding/generate`, `GET /embedding/config`: for clients that speak of `/embedding`."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from embedding_service import models
from embedding_service.answering import OutputPrecision, Question, answer
from embedding_service.embedder import Embedder
from embedding_service.fields import Fields
from embedding_service.json_answers import json_answer
from embedding_service.routes.embed import RESPONSES, ExpectedSpace, Options
from embedding_service.served import Served
from embedding_service.serving import Serving
from embedding_service.texts import Text

ConfigId = Annotated[
    str,
    Field(description="the same wherever provider, model, space, dimensions and precision are"),
]


class ClientHint(Fields):
    """What the client could do and would like. A hint: nothing is refused for it."""

    supports_local: Annotated[
        bool, Field(description="not used: vectors are made here, by the model that is served")
    ] = False
    supports_quantized: Annotated[bool, Field(description="not used, likewise")] = False
    preferred_precision: Annotated[
        str | None,
        Field(description="float32 and float16 are followed; `metadata.precision` says what it is"),
    ] = None


class GenerateRequest(Options):
    """A text to embed."""

    text: Text
    client_hint: ClientHint = ClientHint()


class Metadata(BaseModel):
    """What made the vector."""

    provider: Literal["local", "openai"]
    model: str
    dimensions: Annotated[int, Field(description="of this vector")]
    precision: Annotated[str, Field(description="of this vector")]
    vector_space: Annotated[str, Field(description="only vectors of one space may be compared")]
    prompt: Annotated[str | None, Field(description="which of the model's prompts was used")]
    truncated: Annotated[bool, Field(description="whether the text was cut")]
    server_config_id: ConfigId


class GenerateAnswer(BaseModel):
    """A text's vector."""

    embedding: list[float]
    metadata: Metadata


class EmbeddingConfig(BaseModel):
    """What is served, where a request asks for nothing special."""

    provider: Literal["local", "openai"]
    model: str
    dimensions: int
    precision: Annotated[str, Field(description="of the weights and the numbers, the coarser one")]
    vector_space: Annotated[str, Field(description="only vectors of one space may be compared")]
    supports_browser: Annotated[
        bool, Field(description="whether the model is of a format that runs in browsers (ONNX)")
    ]
    quantized_variants: Annotated[
        list[str],
        Field(description="other precisions of this vector space that are at hand to be served"),
    ]
    config_id: ConfigId

    @classmethod
    def of(cls, embedder: Embedder) -> EmbeddingConfig:
        """Return what an embedder serves."""
        recipe, settings = embedder.recipe, embedder.settings
        served = Served.of(recipe, settings)
        return cls(
            provider=served.provider,
            model=served.model,
            dimensions=served.dimensions,
            precision=served.precision,
            vector_space=served.vector_space,
            supports_browser=recipe.format == "onnx",
            quantized_variants=list(models.variants(settings, recipe)),
            config_id=served.config_id,
        )


def add_routes(app: FastAPI, serving: Serving) -> None:
    """Let an application serve an embedder by this interface too."""

    @app.post(
        "/embedding/generate",
        response_model=GenerateAnswer,
        responses=RESPONSES,
    )
    async def generate(request: GenerateRequest, expected: ExpectedSpace = None) -> Response:
        """Embed one text, in the precision that the client prefers if there is such."""
        preferred = request.client_hint.preferred_precision
        is_known = preferred in ("float32", "float16")
        answered = await answer(
            serving,
            Question(
                inputs=[request.text],
                input_type=request.input_type,
                dimensions=request.dimensions,
                precision=cast("OutputPrecision", preferred) if is_known else None,
                truncate=request.truncate,
                vector_space=expected,
            ),
        )
        served = Served.of(answered.recipe, answered.settings)
        content = {
            "embedding": answered.vectors[0],
            "metadata": {
                "provider": served.provider,
                "model": served.model,
                "dimensions": answered.dimension,
                "precision": answered.precision,
                "vector_space": answered.vector_space,
                "prompt": answered.reads[0].prompt,
                "truncated": answered.is_truncated,
                "server_config_id": served.config_id,
            },
        }
        return json_answer(content, answered.headers)

    @app.get("/embedding/config")
    def get_config() -> EmbeddingConfig:
        """Tell what is served, also while it still loads."""
        return EmbeddingConfig.of(serving.current)
