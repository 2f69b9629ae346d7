"""An image with a model, built and loaded into an engine: for tests that start containers of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient

from builders import plan, project, report, stages
from builders.engine import Engine
from builders.engine import images as engine_images
from builders.engine.connection import connect
from builders.engine.run_mark import mark
from builders.once import Once
from builders.stages import Options, Shared


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image in an engine.

    Attributes:
        client: The engine.
        digest: The image's.
        platform: The image's, which is the engine's own.
        run: What its containers belong to.
    """

    client: DockerClient
    digest: str
    platform: str
    run: str


@contextmanager
def built(backend: str, model: str, *, engine: Engine, cache: Path) -> Iterator[Built]:
    """Build the image of a cell, unless it is there; containers of it may be started meanwhile."""
    checkout = project.load()
    cell = plan.cell(checkout.matrix, backend, model, engine.native)
    with (
        report.reporter([]) as reporter,
        mark(cache) as run,
        connect(engine.environment) as client,
    ):
        shared = Shared(
            engine=engine,
            run=run.id,
            options=Options(jobs=1, rebuild=False, reprove=False),
            debian=stages.fetch(checkout, [cell], engine.native, reporter),
            bases=Once(),
            references=Once(),
        )
        image = stages.built(checkout, cell, shared, reporter)
        yield Built(
            client=client,
            digest=engine_images.load(client, image.layout),
            platform=engine.native,
            run=run.id,
        )
