"""The self-check: what is embedded before the first user's input, so that no wrong model serves."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from embedding_service import contract
from embedding_service.contract import Backend
from embedding_service.errors import EmbeddingError, InputError, ModelError
from embedding_service.inputs import Image, Input
from embedding_service.recipe import Recipe

INPUTS: Mapping[str, Input] = {
    "text": "hello world",
    # A white pixel, as PNG.
    "image": Image(
        content=base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
        )
    ),
}
"""By their kind."""


def check(model: Backend, recipe: Recipe, model_dir: Path) -> None:
    """Embed an input of each kind.

    Raises:
        ModelError: That failed, or the vectors are not what the recipe declares.
    """
    try:
        contract.embed(model, recipe, [INPUTS[kind] for kind in recipe.inputs])
    except (EmbeddingError, InputError) as error:
        model.close()  # the error that says so keeps it from being freed otherwise
        reason = ": ".join(" ".join(str(e).split()) for e in (error, error.__cause__) if e)
        which = recipe.name if recipe.format == "openai" else f"the model in {model_dir}"
        raise ModelError(f"{which} failed its self-check: {reason}") from error
