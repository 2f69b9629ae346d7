"""`GET /info`: what is served, and within which limits."""

from __future__ import annotations

import platform
from typing import Annotated, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field

from embedding_service import contract, matryoshka
from embedding_service.bodies import most_bytes
from embedding_service.connection import MOST_HEAD_BYTES
from embedding_service.embedder import Embedder
from embedding_service.recipe import Recipe
from embedding_service.serving import Serving
from embedding_service.settings import Settings
from embedding_service.supply.disk import cache_use


class Limits(BaseModel):
    """What is refused beyond: 413 what is too much, 429 what is too much now, 408 what is slow."""

    max_tokens: Annotated[int, Field(description="of a text, prompt and special tokens included")]
    max_inputs: Annotated[int, Field(description="of a request")]
    max_body_bytes: Annotated[int, Field(description="of a request")]
    max_head_bytes: Annotated[int, Field(description="of a request's headers; beyond: 431")]
    max_image_bytes: Annotated[int, Field(description="of an image's file")]
    queue_inputs: Annotated[int, Field(description="that wait to be computed")]
    pending_bytes: Annotated[int, Field(description="of all bodies not answered yet")]
    batch_inputs: Annotated[int, Field(description="that are computed together")]
    batch_tokens: Annotated[int, Field(description="that are computed together, with padding")]
    receive_seconds: Annotated[int, Field(description="for a request to come in")]
    grace_seconds: Annotated[int, Field(description="for requests in flight, after SIGTERM")]


class Cache(BaseModel):
    """The cache of fetched models, and how full its disk is."""

    path: str
    bytes: Annotated[int, Field(description="that it takes")]
    total: Annotated[int, Field(description="the bytes of its file system")]
    free: Annotated[int, Field(description="of these, what is left")]
    level: Annotated[
        Literal["ok", "warning", "critical"],
        Field(description="which threshold the use of the file system has reached"),
    ]


class Info(BaseModel):
    """What is served, and within which limits."""

    ready: bool
    model: str
    dimension: Annotated[int, Field(description="of vectors, where a request does not say it")]
    vector_spaces: Annotated[
        dict[str, str],
        Field(description="the id of the space, by the dimensions a vector can have"),
    ]
    precision: Annotated[str, Field(description="of the weights")]
    answer_precision: Annotated[str, Field(description="of the numbers in answers")]
    inputs: Annotated[list[str], Field(description="what it makes vectors of: text, image")]
    prompts: Annotated[dict[str, str], Field(description="by the input_type that picks them")]
    default_prompt: Annotated[str | None, Field(description="the input_type of who gives none")]
    pooling: str
    normalize: bool
    backend: str
    libraries: Annotated[dict[str, str], Field(description="versions that decide the vectors")]
    runtime: Annotated[
        dict[str, str],
        Field(description="what the backend computes with here; empty until the model is loaded"),
    ]
    architecture: Annotated[str, Field(description="of the processor, as `uname -m` names it")]
    threads: Annotated[int, Field(description="that compute one batch")]
    waiting_inputs: Annotated[int, Field(description="that wait to be computed, now")]
    limits: Limits
    cache: Annotated[Cache | None, Field(description="null: there is none")]


def add_routes(app: FastAPI, serving: Serving) -> None:
    """Let an application tell what it is."""

    @app.get("/info")
    def get_info() -> Info:  # in a thread: it lists the cache
        """What is served, and within which limits."""
        return _info(serving.current)


def _info(embedder: Embedder) -> Info:
    recipe, settings = embedder.recipe, embedder.settings
    return Info(
        ready=embedder.is_ready,
        model=recipe.name,
        dimension=settings.dimensions or recipe.dimension,
        vector_spaces=_spaces(recipe),
        precision=recipe.precision,
        answer_precision=settings.precision,
        inputs=list(recipe.inputs),
        prompts=recipe.prompts,
        default_prompt=recipe.default_prompt,
        pooling=recipe.pooling,
        normalize=recipe.normalize,
        backend=embedder.backend.name,
        libraries=contract.library_versions(embedder.backend),
        runtime=dict(embedder.runtime),
        architecture=platform.machine(),
        threads=settings.threads,
        waiting_inputs=embedder.waiting,
        limits=_limits(recipe, settings),
        cache=_cache(settings),
    )


def _spaces(recipe: Recipe) -> dict[str, str]:
    shorter = recipe.matryoshka.spaces if recipe.matryoshka else {}
    return {
        str(length): recipe.vector_space if length == recipe.dimension else shorter[str(length)]
        for length in matryoshka.dimensions(recipe)
    }


def _cache(settings: Settings) -> Cache | None:
    use = cache_use(settings)
    if use is None:
        return None
    return Cache(
        path=str(use.path), bytes=use.bytes, total=use.total, free=use.free, level=use.level
    )


def _limits(recipe: Recipe, settings: Settings) -> Limits:
    return Limits(
        max_tokens=recipe.max_tokens,
        max_inputs=settings.max_inputs,
        max_body_bytes=most_bytes(settings),
        max_head_bytes=MOST_HEAD_BYTES,
        max_image_bytes=settings.max_image_bytes,
        queue_inputs=settings.queue,
        pending_bytes=settings.pending_bytes,
        batch_inputs=settings.batch_inputs,
        batch_tokens=settings.batch_tokens,
        receive_seconds=settings.receive_seconds,
        grace_seconds=settings.grace_seconds,
    )
