"""Models: which of the model directories at hand is to be served."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from embedding_service import recipe as recipes
from embedding_service.errors import ModelError
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings


def chosen(settings: Settings) -> Settings:
    """Return the settings with the directory of the model that they name.

    A name is compared with those that the recipes declare; it is never part of a path.

    Raises:
        ModelError: No model at hand has the name, or two have it.
    """
    if settings.model is None:
        return settings
    known = at_hand(settings)
    found = [path for path, recipe in known.items() if recipe.name == settings.model]
    if settings.model_dir in found:
        return settings
    if len(found) > 1:
        raise ModelError(f"{' and '.join(map(str, found))} both hold {settings.model}")
    if not found:
        names = ", ".join(sorted({recipe.name for recipe in known.values()})) or "none"
        raise ModelError(f"no model {settings.model} is at hand; there are: {names}")
    return dataclasses.replace(settings, model_dir=found[0])


def variants(settings: Settings, recipe: Recipe) -> Sequence[str]:
    """Return in which other precisions a model's vector space could be served from what is here."""
    others = (other for other in at_hand(settings).values() if other.name != recipe.name)
    found = {other.precision for other in others if other.vector_space == recipe.vector_space}
    return sorted(found - {recipe.precision})


def at_hand(settings: Settings) -> Mapping[Path, Recipe]:
    """Return the recipes of all models that may be named, by their directories.

    What cannot be read is no model; it harms no other.
    """
    known: dict[Path, Recipe] = {}
    for directory in (settings.model_dir, *_inside(settings.models_dir)):
        try:
            known[directory] = recipes.read(directory)
        except ModelError:
            continue
    return known


def _inside(models_dir: Path | None) -> Sequence[Path]:
    if models_dir is None:
        return []
    try:
        # Names that begin with a dot are a file system's or Kubernetes' own.
        return sorted(path for path in models_dir.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
