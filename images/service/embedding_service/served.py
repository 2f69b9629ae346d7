"""What is served: all that decides whether the vectors of two answers may be compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal, Self

from embedding_service import matryoshka
from embedding_service.answering import coarser
from embedding_service.errors import SettingsError
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Served:
    """What an answer is where its request asks for nothing special.

    Attributes:
        provider: "local", or "openai" where an upstream makes the vectors.
        model: The model's name.
        vector_space: The space of the vectors, at this dimension.
        dimensions: How long they are.
        precision: Of the weights and the numbers, the coarser one.
    """

    provider: Literal["local", "openai"]
    model: str
    vector_space: str
    dimensions: int
    precision: str

    @classmethod
    def of(cls, recipe: Recipe, settings: Settings) -> Self:
        """Return what is served with this model by these settings.

        Raises:
            SettingsError: The model has no vectors of the length that is asked for.
        """
        dimensions = settings.dimensions or recipe.dimension
        space = matryoshka.space(recipe, dimensions)
        if space is None:
            known = ", ".join(map(str, matryoshka.dimensions(recipe)))
            raise SettingsError(
                f"EMBEDDING_DIMENSIONS is {dimensions}: "
                f"{recipe.name} has vectors of these dimensions: {known}"
            )
        return cls(
            provider="openai" if recipe.format == "openai" else "local",
            model=recipe.name,
            vector_space=space,
            dimensions=dimensions,
            precision=coarser(recipe.precision, settings.precision),
        )

    def __str__(self) -> str:
        """Return it for people, in one line."""
        return (
            f"{self.model} ({self.provider}), {self.dimensions} dimensions in {self.precision}, "
            f"vector space {self.vector_space}"
        )

    @property
    def config_id(self) -> str:
        """An id that is the same wherever, and whenever, the same is served."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
