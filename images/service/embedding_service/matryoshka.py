"""Shorter vectors (Matryoshka): only as the model's recipe allows, and by its rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embedding_service.recipe import Recipe


def dimensions(recipe: Recipe) -> list[int]:
    """Return how long a model's vectors can be, the longest first."""
    shorter = recipe.matryoshka.spaces if recipe.matryoshka else {}
    return sorted({recipe.dimension, *map(int, shorter)}, reverse=True)


def space(recipe: Recipe, dimension: int) -> str | None:
    """Return the vector space of vectors of this length; None if the model has none such."""
    if dimension == recipe.dimension:
        return recipe.vector_space
    if recipe.matryoshka is None:
        return None
    return recipe.matryoshka.spaces.get(str(dimension))


def shortened(vectors: NDArray[np.float32], recipe: Recipe, dimension: int) -> NDArray[np.float32]:
    """Return vectors of this length, of unit length again.

    Args:
        vectors: Of shape (inputs, the recipe's dimension).
        recipe: Says whether a layer normalisation comes first. It does not matter that the vectors
            are normalised already: what follows takes any factor out again.
        dimension: One of `dimensions`.
    """
    if recipe.matryoshka is None or dimension == recipe.dimension:
        return vectors
    exact = vectors.astype(np.float64)
    if recipe.matryoshka.layer_norm:
        exact -= exact.mean(axis=1, keepdims=True)
    exact = exact[:, :dimension]
    unit: NDArray[np.float32] = (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit
