"""Answering: what all routes that embed have in common, from the question to checked vectors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from embedding_service import matryoshka
from embedding_service.arrivals import arrivals
from embedding_service.embedder import Embedder
from embedding_service.errors import (
    DimensionsError,
    ImageTooLargeError,
    InputError,
    NotReadyError,
    SpaceMismatchError,
    TooManyInputsError,
)
from embedding_service.inputs import Asked, Image, TokenIds
from embedding_service.reading import Read, Reader
from embedding_service.recipe import Recipe
from embedding_service.serving import Serving
from embedding_service.settings import Settings

OutputPrecision = Literal["float32", "float16"]

INLINE = 4096
"""How many characters or tokens are read at once; more would keep other requests waiting, so that
another thread reads them."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a request asks.

    Attributes:
        inputs: What to embed, at least one.
        input_type: Which of the model's prompts to put before texts; None: the default one.
        truncate: Whether to cut what is too long.
        dimensions: How long the vectors shall be; None: as the settings say, or as the model makes
            them.
        precision: Of the numbers that are answered; None: as the settings say.
        vector_space: The space that the client expects; None: any.
    """

    inputs: Sequence[Asked]
    input_type: str | None = None
    truncate: bool = False
    dimensions: int | None = None
    precision: OutputPrecision | None = None
    vector_space: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Vectors, and all that a client must know to compare them with others.

    Attributes:
        vectors: float32 or float16, of shape (inputs, dimension), in the inputs' order.
        reads: What each input became: its prompt, how many tokens, whether it was cut.
        recipe: The model's.
        settings: Those in force for this answer.
        vector_space: The space of these vectors.
        precision: The coarsest of the weights' and the numbers' own.
    """

    vectors: NDArray[np.float32] | NDArray[np.float16]
    reads: Sequence[Read]
    recipe: Recipe
    settings: Settings
    vector_space: str
    precision: str

    @property
    def dimension(self) -> int:
        """How long each vector is."""
        return int(self.vectors.shape[1])

    @property
    def tokens(self) -> int:
        """How many tokens all inputs have together, as far as known here."""
        return sum(read.tokens for read in self.reads)

    @property
    def is_truncated(self) -> bool:
        """Whether an input was cut."""
        return any(read.truncated for read in self.reads)

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries, whatever the form of its body."""
        prompts = sorted({read.prompt or "none" for read in self.reads})
        return {
            "Equivec-Vector-Space": self.vector_space,
            "Equivec-Precision": self.precision,
            "Equivec-Prompt": ", ".join(prompts),
            "Equivec-Truncated": "true" if self.is_truncated else "false",
        }


async def answer(serving: Serving, question: Question) -> Answered:
    """Embed what a request asks for. Cancelled, it drops what is not computed yet.

    Raises:
        DimensionsError: The model has no vectors of that length.
        EmbeddingError: The backend failed.
        InputError: One of the inputs cannot be embedded.
        NotReadyError: The model is loading, or the service stopping.
        QueueFullError: Too much is waiting.
        SpaceMismatchError: The client expects another vector space.
        TooManyInputsError: There are more inputs than are taken at once.
    """
    with serving.using() as embedder:
        return await _answered(embedder, question)


async def _answered(embedder: Embedder, question: Question) -> Answered:
    recipe, settings = embedder.recipe, embedder.settings
    asked = settings.dimensions if question.dimensions is None else question.dimensions
    wanted = recipe.dimension if asked is None else asked
    space = matryoshka.space(recipe, wanted)
    if space is None:
        raise DimensionsError(model=recipe.name, known=matryoshka.dimensions(recipe))
    if question.vector_space not in (None, space):
        raise SpaceMismatchError(expected=question.vector_space or "", actual=space)
    if len(question.inputs) > settings.max_inputs:
        raise TooManyInputsError(inputs=len(question.inputs), most=settings.max_inputs)
    begun = time.monotonic()
    reads = await _read(embedder, question)
    embedder.observer.read([read.tokens for read in reads], seconds=time.monotonic() - begun)
    full = await _computed(embedder, reads)
    vectors = matryoshka.shortened(full, recipe, wanted)
    number_type = question.precision or settings.precision
    return Answered(
        vectors=vectors.astype(np.float16) if number_type == "float16" else vectors,
        reads=reads,
        recipe=recipe,
        settings=settings,
        vector_space=space,
        precision=coarser(recipe.precision, number_type),
    )


async def _read(embedder: Embedder, question: Question) -> Sequence[Read]:
    reader = embedder.reader
    most = embedder.settings.max_image_bytes
    for index, asked in enumerate(question.inputs):
        if isinstance(asked, Image) and len(asked.content) > most:
            raise ImageTooLargeError(f"the image has more than {most} bytes", index=index)
    if sum(map(_size, question.inputs)) <= INLINE:
        return _all_read(reader, question)
    return await asyncio.to_thread(_all_read, reader, question)


def _all_read(reader: Reader, question: Question) -> Sequence[Read]:
    return [
        reader.read(asked, index=index, input_type=question.input_type, truncate=question.truncate)
        for index, asked in enumerate(question.inputs)
    ]


async def _computed(embedder: Embedder, reads: Sequence[Read]) -> NDArray[np.float32]:
    here = arrivals()
    futures = embedder.submit(reads, arrived=here.bring)
    waited = [here.awaited(future) for future in futures]
    try:
        rows = await asyncio.gather(*waited)
    except InputError as error:
        place = next(
            index
            for index, future in enumerate(futures)
            if future.done() and not future.cancelled() and future.exception() is error
        )
        error.index = place
        raise
    except asyncio.CancelledError as error:  # the client is gone, or the grace after SIGTERM over
        raise NotReadyError("the service is stopping") from error
    finally:
        for future in futures:
            future.cancel()  # what was not asked for any more; nothing where it is done
    return np.stack(rows)


def _size(asked: Asked) -> int:
    if isinstance(asked, Image):
        return 0
    return len(asked.ids if isinstance(asked, TokenIds) else asked)


def coarser(weights: str, numbers: OutputPrecision) -> str:
    """Return the precision of vectors: of the weights' and the numbers' own, the coarser one."""
    return numbers if weights == "float32" else weights
