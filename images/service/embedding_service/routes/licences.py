"""`GET /credits`: what the service is made of, and what its model is."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from embedding_service.credits import Component, components
from embedding_service.problems import ErrorAnswer
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
    libraries: Annotated[list[str], Field(description="shared libraries that came inside it")]
    texts: Annotated[list[str], Field(description="the files that have the whole of the licences")]


class Credits(BaseModel):
    """What the service is made of, from the inventory that is in the image."""

    service: Annotated[str, Field(description="this service and its licence")]
    model: ModelCredit
    components: list[ComponentCredit]


def add_routes(app: FastAPI, serving: Serving) -> None:
    """Let an application give credit."""

    @app.get("/credits", responses={404: {"model": ErrorAnswer}})
    def get_credits() -> Credits:  # in a thread: it reads the inventory, once
        """What the service is made of, with the licences."""
        inventory = serving.current.settings.inventory
        try:
            found = components(inventory)
        except OSError as error:
            raise HTTPException(
                404, f"no inventory can be read at {inventory}: images have one"
            ) from error
        return Credits(
            service="Equivec embedding service, Apache-2.0",
            model=_model(serving.current.recipe),
            components=[_component(each) for each in found],
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
        libraries=list(component.libraries),
        texts=list(component.texts),
    )
