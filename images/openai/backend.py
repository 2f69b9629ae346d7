"""The openai backend: no weights, but an API that speaks OpenAI's interface for embeddings.

The model's directory says what its vectors are, and what the API calls the model; the settings
EMBEDDING_OPENAI_… say where it is. See `embedding_service.upstreams`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from embedding_service import recipe as recipes
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from embedding_service.upstreams import backend, declared

UPSTREAM_FILE = "upstream.json"
"""In the model's directory: `{"model": NAME}`, what the API calls the model."""


class Backend(backend.Backend):
    """A model whose recipe is here, and which is served elsewhere."""

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Read what is asked, and where. That the API answers, the service's self-check finds.

        Raises:
            ModelError: The model is of another format, or the directory does not say what the API
                calls it.
            SettingsError: The settings do not say where the API is.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != "openai":
            raise ModelError(f"{cls.name} takes models in the format openai, not {recipe.format}")
        return cls(declared.of_recipe(recipe, _model(model_dir), settings), settings)


def _model(model_dir: Path) -> str:
    path = model_dir / UPSTREAM_FILE
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read") from error
    name = content.get("model") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name or set(content) != {"model"}:
        raise ModelError(f'{path} must be {{"model": NAME}}, what the API calls the model')
    return name
