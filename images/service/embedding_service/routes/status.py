"""Status: `GET /health` and its two short forms, and `GET /metrics`."""

from __future__ import annotations

import platform
from typing import Annotated, Literal

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from embedding_service import contract
from embedding_service.embedder import Embedder
from embedding_service.errors import NotReadyError
from embedding_service.metrics import Metrics
from embedding_service.problems import ErrorAnswer
from embedding_service.serving import Serving


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


class Life(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """The model is loaded, and has passed its check."""

    status: Literal["ready"] = "ready"


def add_routes(app: FastAPI, serving: Serving, metrics: Metrics) -> None:
    """Let an application tell how it is."""

    @app.get("/health")
    async def get_health() -> Health:
        """Always 200 while the process lives; `degraded` until the model is loaded."""
        return _health(serving.current)

    @app.get("/health/live")
    async def get_life() -> Life:
        """Always 200 while the process lives."""
        return Life()

    @app.get("/health/ready", responses={503: {"model": ErrorAnswer}})
    async def get_readiness() -> Readiness:
        """503 until the model is loaded: traffic may come from then on."""
        if not serving.current.is_ready:
            raise NotReadyError("the model is still loading")
        return Readiness()

    @app.get("/metrics", response_class=PlainTextResponse)
    def get_metrics() -> Response:  # in a thread: it lists the cache
        """For Prometheus: requests, latency by phase, the queue, batches, lengths, reloads."""
        return Response(metrics.text(serving.current), media_type=CONTENT_TYPE_LATEST)


def _health(embedder: Embedder) -> Health:
    recipe = embedder.recipe
    return Health(
        status="healthy" if embedder.is_ready else "degraded",
        embedding_model_loaded=embedder.is_ready,
        model=recipe.name,
        dimension=recipe.dimension,
        inputs=list(recipe.inputs),
        vector_space=recipe.vector_space,
        precision=recipe.precision,
        backend=embedder.backend.name,
        libraries=contract.library_versions(embedder.backend),
        architecture=platform.machine(),
        runtime=dict(embedder.runtime),
    )
