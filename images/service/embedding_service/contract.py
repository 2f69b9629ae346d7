"""The contract with a backend: what it offers, and what the service holds it to."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from embedding_service import recipe as recipes
from embedding_service.errors import (
    EmbeddingError,
    InputError,
    ModelError,
    StartError,
    UnsupportedInputError,
)
from embedding_service.inputs import Image, Input, kind
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

Vectors = NDArray[np.float32]
"""float32, of shape (number of inputs, dimension)."""

LENGTH_TOLERANCE = 1e-3
"""How far a normalised vector's length may be from 1."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend can embed with the model that it has loaded."""

    text: bool
    image: bool
    max_tokens: int


class Backend(Protocol):
    """A library that turns inputs into vectors: the class `Backend` of a module `backend`.

    It knows nothing of HTTP. One thread at a time uses it. It imports its library in `load`, not
    with the module: what takes seconds then happens while the service answers already.
    """

    name: ClassVar[str]
    """As in `matrix.yaml`."""

    libraries: ClassVar[tuple[str, ...]]
    """The distributions whose versions decide its vectors."""

    capabilities: Capabilities

    runtime: Mapping[str, str]
    """What the library chose to compute with on this machine, once it is loaded: for people, in
    the log and in /health, such as `{"cpu_variant": "haswell"}`."""

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load the model of a verified directory, by its recipe."""
        ...

    def embed(self, inputs: Sequence[str]) -> Vectors:
        """Return the vectors of one or more texts, pooled and normalised by the recipe.

        Raises:
            InputError: One of the inputs is too long or has no token; no input is cut.
            EmbeddingError: It failed, and says why without any part of an input.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class ImageBackend(Backend, Protocol):
    """A backend whose capabilities name images: only such a one is given any."""

    def embed(self, inputs: Sequence[Input]) -> Vectors:
        """Return the vectors of texts and images, in their order.

        Raises:
            InputError: See `Backend.embed`.
            ImageError: One of the inputs is no image that can be read.
        """
        ...


def backend_class() -> type[Backend]:
    """Return the class `Backend` of the module `backend`.

    Raises:
        ModelError: There is none on the Python path.
    """
    try:
        return cast("type[Backend]", importlib.import_module("backend").Backend)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"no backend: {error}; PYTHONPATH must lead to a backend.py with a class Backend"
        ) from error


def library_versions(backend: type[Backend]) -> dict[str, str]:
    """Return the installed version of each distribution that the backend names.

    Raises:
        ModelError: One is not installed.
    """
    try:
        return {name: importlib.metadata.version(name) for name in backend.libraries}
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(f"backend {backend.name} needs {error.name}: not installed") from error


def load(model_dir: Path, recipe: Recipe, backend: type[Backend], settings: Settings) -> Backend:
    """Verify the model's files, then let the backend load them.

    Raises:
        ModelError: The files are not those of the recipe, the backend failed, or it cannot take
            what the recipe says that the model takes.
    """
    recipes.verify(model_dir, recipe)
    try:
        loaded = backend.load(model_dir, settings)
    except StartError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"backend {backend.name} cannot load {model_dir}: {type(error).__name__}: {reason}"
        ) from error
    able = {"text": loaded.capabilities.text, "image": loaded.capabilities.image}
    if unable := [name for name in recipe.inputs if not able[name]]:
        raise ModelError(
            f"backend {backend.name} makes no vectors of {' and '.join(unable)}, "
            f"which {recipe.name} takes"
        )
    return loaded


def embed(backend: Backend, recipe: Recipe, inputs: Sequence[Input]) -> Vectors:
    """Return the checked vectors of inputs, each text put behind the recipe's default prompt.

    Raises:
        EmbeddingError: The backend failed, or the vectors are not of the recipe's dimension, not
            finite, or not of unit length where the recipe normalises. The message holds no text;
            a library's own message, which may, is the cause's.
        InputError: See `Backend.embed`.
        UnsupportedInputError: The model takes no input of that kind.
    """
    for index, given in enumerate(inputs):
        if kind(given) not in recipe.inputs:
            raise UnsupportedInputError(
                index=index, model=recipe.name, takes=recipe.inputs, kind=kind(given)
            )
    prompted = [each if isinstance(each, Image) else recipe.prefix + each for each in inputs]
    try:
        # Images are among them only if the recipe takes images, and then so does the backend.
        vectors = cast("ImageBackend", backend).embed(prompted)
    except (InputError, EmbeddingError):
        raise
    except Exception as error:
        raise EmbeddingError(f"{backend.name} failed with {type(error).__name__}") from error
    expected = (len(inputs), recipe.dimension)
    if vectors.shape != expected or vectors.dtype != np.float32:
        raise EmbeddingError(
            f"{backend.name} returned {vectors.dtype} of shape {vectors.shape} for "
            f"{recipe.name}; its recipe declares float32 of shape {expected}"
        )
    if not np.isfinite(vectors).all():
        raise EmbeddingError(f"{backend.name} returned a vector with NaN or infinity")
    if recipe.normalize:
        lengths = np.linalg.norm(vectors, axis=1)
        worst = float(lengths[np.abs(lengths - 1).argmax()])
        if abs(worst - 1) > LENGTH_TOLERANCE:
            raise EmbeddingError(
                f"{backend.name} returned a vector of length {worst:.6g}; "
                f"the recipe of {recipe.name} normalises to 1"
            )
    return vectors
