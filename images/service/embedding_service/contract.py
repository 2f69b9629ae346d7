"""The contract with a backend: what it offers, and what the service holds it to."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from embedding_service import recipe as recipes
from embedding_service.errors import (
    EmbeddingError,
    InputError,
    ModelError,
    StartError,
)
from embedding_service.inputs import Asked, Given, Text
from embedding_service.reading import Reader
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings
from embedding_service.supply import completion

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
"""float32, of shape (number of inputs, dimension)."""

LENGTH_TOLERANCE = 1e-3
"""How far a normalised vector's length may be from 1."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a backend can embed with the model that it has loaded.

    Attributes:
        text: Whether it takes texts.
        image: Whether it takes images.
        max_tokens: The longest text.
        batching: How several texts are computed: "padded" together, each as long as the longest of
            them; "fixed" together, each as long as the longest that there can be; or "none", one
            after another, so that a batch only keeps the first of them waiting.
        concurrent: How many threads may embed at a time.
    """

    text: bool
    image: bool
    max_tokens: int
    batching: Literal["padded", "fixed", "none"]
    concurrent: int = 1


class Backend(Protocol):
    """A library that turns inputs into vectors: the class `Backend` of a module `backend`.

    It knows nothing of HTTP. As many threads use it at a time as it says. It imports its library in
    `load`, not with the module: what takes seconds then happens while the service answers already.
    """

    name: ClassVar[str]
    """As in `matrix.yaml`."""

    libraries: ClassVar[tuple[str, ...]]
    """The distributions whose versions decide its vectors."""

    capabilities: Capabilities

    tokenizer: Tokenizer | None
    """Makes the tokens of the texts that it is given; None where it takes them as they are, or
    takes none."""

    runtime: Mapping[str, str]
    """What the library chose to compute with on this machine, once it is loaded: for people, in
    the log and in /health, such as `{"cpu_variant": "haswell"}`."""

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load the model of a verified directory, by its recipe."""
        ...

    def embed(self, inputs: Sequence[Text]) -> Vectors:
        """Return the vectors of one or more texts, pooled and normalised by the recipe.

        Args:
            inputs: None of them has more tokens than the recipe allows, or none at all.

        Raises:
            InputError: One of the inputs cannot be embedded.
            EmbeddingError: It failed, and says why without any part of an input.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class ImageBackend(Backend, Protocol):
    """A backend whose capabilities name images: only such a one is given any."""

    def embed(self, inputs: Sequence[Given]) -> Vectors:
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
    """Verify the model's files, fetched first where they may be; then let the backend load them.

    Raises:
        ModelError: The files are not those of the recipe, the backend failed, or it cannot take
            what the recipe says that the model takes.
    """
    if settings.provider == "local":
        model_dir = completion.complete(model_dir, recipe, settings)
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


def embed(backend: Backend, recipe: Recipe, inputs: Sequence[Asked]) -> Vectors:
    """Return the checked vectors of inputs, each text put behind the recipe's default prompt.

    Raises:
        EmbeddingError: See `computed`.
        InputError: One of the inputs cannot be embedded; no text is cut.
    """
    reader = Reader(recipe, backend.tokenizer)
    reads = [reader.read(asked, index=index) for index, asked in enumerate(inputs)]
    return computed(backend, recipe, [read.given for read in reads])


def computed(backend: Backend, recipe: Recipe, inputs: Sequence[Given]) -> Vectors:
    """Return the checked vectors of inputs.

    Raises:
        EmbeddingError: The backend failed, or the vectors are not of the recipe's dimension, not
            finite, or not of unit length where the recipe normalises. The message holds no text;
            a library's own message, which may, is the cause's.
        InputError: See `Backend.embed`.
    """
    try:
        # Images are among them only if the recipe takes images, and then so does the backend.
        vectors = cast("ImageBackend", backend).embed(inputs)
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
