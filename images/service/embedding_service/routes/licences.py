"""`GET /credits`: what the service is made of, and what its model is."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field

from embedding_service.credits import Component, components
from embedding_service.recipe import Recipe
from embedding_service.serving import Serving


class ModelCredit(BaseModel):
    """The model that is served."""

    name: str
    licence: Annotated[str | None, Field(description="SPDX expression; null: not known")]
    citation: Annotated[str | None, Field(description="how its authors want it to be cited")]
    source: Annotated[str | None, Field(description="where it is from")]


class ComponentCredit(BaseModel):
    """A package that is part of the service."""

    name: str
    version: str
    kind: Literal["python", "debian"]
    licences: Annotated[list[str], Field(description="as the package itself names them")]
    text: Annotated[
        str | None, Field(description="the file that has the whole of them, where it is known")
    ]


class Credits(BaseModel):
    """What the service is made of, from the metadata of the packages that are there."""

    service: Annotated[str, Field(description="this service and its licence")]
    model: ModelCredit
    components: list[ComponentCredit]


def add_routes(app: FastAPI, serving: Serving) -> None:
    """Let an application give credit."""

    @app.get("/credits")
    def get_credits() -> Credits:  # in a thread: it reads the metadata of all packages, once
        """What the service is made of, with the licences."""
        return Credits(
            service="Equivec embedding service, Apache-2.0",
            model=_model(serving.current.recipe),
            components=[_component(each) for each in components()],
        )


def _model(recipe: Recipe) -> ModelCredit:
    return ModelCredit(
        name=recipe.name,
        licence=recipe.licence,
        citation=recipe.citation,
        source=recipe.source,
    )


def _component(component: Component) -> ComponentCredit:
    return ComponentCredit(
        name=component.name,
        version=component.version,
        kind=component.kind,
        licences=list(component.licences),
        text=None if component.text is None else str(component.text),
    )
