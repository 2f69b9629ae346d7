"""What is declared: which vector spaces upstreams may be asked for, by the operator's settings."""

from __future__ import annotations

from collections.abc import Sequence

from embedding_service.errors import ModelError, SettingsError
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings
from embedding_service.upstreams.declaration import DeclaredSpace, declared_spaces

KEY_VARIABLE = "EMBEDDING_OPENAI_API_KEY"


def spaces(settings: Settings) -> Sequence[DeclaredSpace]:
    """Return the spaces that the operator declares, the preferred one first.

    Raises:
        ModelError: None of them is of the model that the settings name.
        SettingsError: They declare none, or one in two ways, or not all of it.
    """
    if not settings.upstreams:
        return [_single(settings)]
    if settings.openai_base_url:
        raise SettingsError(
            "EMBEDDING_UPSTREAMS and EMBEDDING_OPENAI_BASE_URL both say who is asked: "
            "one of them is enough"
        )
    found = [space for space in settings.upstreams if settings.model in (None, space.model)]
    if not found:
        names = ", ".join(sorted({space.model for space in settings.upstreams}))
        raise ModelError(f"no upstream serves {settings.model!r}; there are: {names}")
    return found


def of_recipe(recipe: Recipe, model: str, settings: Settings) -> DeclaredSpace:
    """Return the space of a model directory's recipe, with the upstreams that the settings say.

    Args:
        recipe: The directory's, of the format openai.
        model: What the upstreams call the model.
        settings: Say where they are, and with which key they are asked.

    Raises:
        SettingsError: They do not.
    """
    return _space(
        {
            "vector_space": recipe.vector_space,
            "model": recipe.name,
            "dimension": recipe.dimension,
            "precision": recipe.precision,
            "normalize": recipe.normalize,
            "prompts": recipe.prompts,
            "default_prompt": recipe.default_prompt,
            "max_tokens": recipe.max_tokens,
        },
        model,
        settings,
    )


def _single(settings: Settings) -> DeclaredSpace:
    needed = {
        "EMBEDDING_OPENAI_VECTOR_SPACE": settings.openai_vector_space,
        "EMBEDDING_MODEL": settings.model,
        "EMBEDDING_DIMENSIONS": settings.dimensions,
    }
    if missing := [name for name, value in needed.items() if value is None]:
        raise SettingsError(
            f"EMBEDDING_PROVIDER is openai, but {' and '.join(missing)} are not set: set them with "
            "EMBEDDING_OPENAI_BASE_URL, or EMBEDDING_UPSTREAMS alone"
        )
    return _space(
        {
            "vector_space": settings.openai_vector_space,
            "model": settings.model,
            "dimension": settings.dimensions,
        },
        settings.model or "",
        settings,
    )


def _space(declared: dict[str, object], model: str, settings: Settings) -> DeclaredSpace:
    addresses = (settings.openai_base_url or "").split()
    if not addresses:
        raise SettingsError(
            "EMBEDDING_OPENAI_BASE_URL is not set: it is the API's address, https://HOST/v1"
        )
    key: dict[str, object] = {}
    if settings.openai_api_key_file:
        if settings.openai_api_key:
            raise SettingsError(
                f"{KEY_VARIABLE} and {KEY_VARIABLE}_FILE are both set: one of them is enough"
            )
        key = {"key_file": str(settings.openai_api_key_file)}
    elif settings.openai_api_key:
        key = {"key_variable": KEY_VARIABLE}
    upstreams = [{"url": address, "model": model, **key} for address in addresses]
    try:
        (space,) = declared_spaces([{**declared, "upstreams": upstreams}])
    except ValueError as error:
        raise SettingsError(f"EMBEDDING_OPENAI_…: {error}") from error
    return space
