"""The application: the routes, and what stands around all of them."""

from __future__ import annotations

from fastapi import FastAPI

from embedding_service.bodies import Bodies, most_bytes
from embedding_service.keys import Access, Gate, describe
from embedding_service.metrics import Metrics
from embedding_service.problems import answer_errors
from embedding_service.reloading import Reloader
from embedding_service.routes import admin, embed, embedding, info, licences, openai, status
from embedding_service.serving import Serving
from embedding_service.settings import Settings


def create_app(
    serving: Serving, settings: Settings, reloader: Reloader, metrics: Metrics
) -> FastAPI:
    """Return the application.

    Args:
        serving: What embeds.
        settings: The limits.
        reloader: What administrators use; not served where there is none.
        metrics: Are served, and count.

    Raises:
        SettingsError: The keys cannot be used.
    """
    access = Access.of(settings)
    app = FastAPI(
        title="Equivec embedding service",
        # The documentation pages load scripts from elsewhere; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
        # A redirection would be to whatever host the request names.
        redirect_slashes=False,
        # FastAPI's spans and events would hold the texts of refused requests.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    # Routes are tried in this order: those that are asked most come first.
    embed.add_routes(app, serving)
    openai.add_routes(app, serving)
    status.add_routes(app, serving, metrics)
    info.add_routes(app, serving)
    licences.add_routes(app, serving)
    embedding.add_routes(app, serving)
    if access.administrators:
        admin.add_routes(app, reloader)
    answer_errors(app)
    app.add_middleware(
        Bodies,
        most=most_bytes(settings),
        pending=settings.pending_bytes,
        seconds=settings.receive_seconds,
        observer=metrics,
    )
    # Around the others: who has no key is asked for nothing more.
    app.add_middleware(Gate, access=access)
    describe(app, access)
    return app
