"""Providers: who makes the vectors, the image's own backend or upstreams, and of which model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from embedding_service import contract, models
from embedding_service import recipe as recipes
from embedding_service.contract import Backend
from embedding_service.errors import StartError, UpstreamError
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings
from embedding_service.upstreams import backend as upstream_backend
from embedding_service.upstreams import declared


@dataclass(frozen=True, kw_only=True)
class Provided:
    """A model that can be served.

    Attributes:
        backend: Makes the vectors.
        recipe: What they are.
        settings: With the directory, or the upstreams, of this model alone.
    """

    backend: type[Backend]
    recipe: Recipe
    settings: Settings


def provided(settings: Settings) -> Sequence[Provided]:
    """Return what may be served by the settings: the first, or at the start what stands in for it.

    Raises:
        ModelError: There is no such model.
        SettingsError: The settings do not say which upstreams there are.
    """
    if settings.provider == "local":
        chosen = models.chosen(settings)
        recipe = recipes.read(chosen.model_dir)
        return [Provided(backend=contract.backend_class(), recipe=recipe, settings=chosen)]
    return [
        Provided(
            backend=upstream_backend.Backend,
            recipe=space.recipe,
            settings=dataclasses.replace(settings, upstreams=(space,)),
        )
        for space in declared.spaces(settings)
    ]


def is_absence(failure: StartError | None) -> bool:
    """Return whether a model could not be served because none of its upstreams was there."""
    cause = None if failure is None else failure.__cause__
    return isinstance(cause, UpstreamError) and cause.is_absent
