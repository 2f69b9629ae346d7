"""The embedder: one thread that owns the model, and the queue that leads to it."""

from __future__ import annotations

import base64
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedding_service import contract
from embedding_service.contract import Backend
from embedding_service.errors import (
    EmbeddingError,
    InputError,
    ModelError,
    NotReadyError,
    StartError,
)
from embedding_service.inputs import Image, Input
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

SELF_CHECK: Mapping[str, Input] = {
    "text": "hello world",
    # A white pixel, as PNG.
    "image": Image(
        content=base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
        )
    ),
}
"""What is embedded before the first user's input, by its kind."""

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]
"""float32, of shape (dimension,)."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    given: Input
    vector: Future[Vector]


class Embedder:
    """Loads the model, checks it on an input of each kind, then embeds what is submitted, in order.

    All of it happens in one thread of its own: a model is never used by two threads (with some
    libraries that crashes the process).

    Args:
        backend: The class of the backend.
        recipe: The model's recipe.
        settings: Where the model is, and with how many threads to compute.
    """

    def __init__(
        self,
        *,
        backend: type[Backend],
        recipe: Recipe,
        settings: Settings,
    ) -> None:
        self.backend = backend
        self.recipe = recipe
        self.failure: StartError | None = None
        self.runtime: Mapping[str, str] = {}
        self._settings = settings
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded and has passed its check."""
        return self._ready.is_set()

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Begin to load the model; returns at once.

        Args:
            on_failure: Called in the embedder's thread when the model cannot be served; `failure`
                then says why.
        """
        # A daemon: a model that is still loading does not keep the process from ending.
        self._thread = threading.Thread(
            target=self._run, args=[on_failure], name="embedder", daemon=True
        )
        self._thread.start()

    def submit(self, given: Input) -> Future[Vector]:
        """Hand over an input; the future fails with an InputError or an EmbeddingError.

        Raises:
            NotReadyError: The model is still loading.
        """
        if not self.is_ready:
            raise NotReadyError("the model is still loading")
        work = _Work(given=given, vector=Future())
        self._queue.put(work)
        return work.vector

    def stop(self, *, timeout: float) -> None:
        """Embed what is queued, free the model, end the thread.

        It may be in a library's own code, where only the end of the process stops it.

        Args:
            timeout: Seconds to wait for that; a model that is still loading is not waited for.
        """
        if self._thread is None:
            return
        self._queue.put(None)
        if self.is_ready or self.failure:
            self._thread.join(timeout)

    def _run(self, on_failure: Callable[[], None]) -> None:
        begun = time.monotonic()
        try:
            model_dir = self._settings.model_dir
            model = contract.load(model_dir, self.recipe, self.backend, self._settings)
            _check(model, self.recipe, model_dir)
        except StartError as error:
            self.failure = error
            on_failure()
            return
        self.runtime = model.runtime
        self._ready.set()
        logger.info(
            "ready: %s with %s (%s; threads: %d), loaded in %.2f s",
            self.recipe.name,
            self.backend.name,
            "; ".join(f"{key}: {value}" for key, value in self.runtime.items()),
            self._settings.threads,
            time.monotonic() - begun,
        )
        while (work := self._queue.get()) is not None:
            _embed(model, self.recipe, work)
        model.close()


def _check(model: Backend, recipe: Recipe, model_dir: Path) -> None:
    """Embed before the first user does, so that a wrong model is never served."""
    try:
        contract.embed(model, recipe, [SELF_CHECK[kind] for kind in recipe.inputs])
    except (EmbeddingError, InputError) as error:
        reason = ": ".join(" ".join(str(e).split()) for e in (error, error.__cause__) if e)
        raise ModelError(f"the model in {model_dir} failed its self-check: {reason}") from error


def _embed(model: Backend, recipe: Recipe, work: _Work) -> None:
    if not work.vector.set_running_or_notify_cancel():
        return
    try:
        vectors = contract.embed(model, recipe, [work.given])
    except InputError as error:
        work.vector.set_exception(error)
    except EmbeddingError as error:
        logger.error("%s", error)  # noqa: TRY400 -- a trace ends with the library's message
        work.vector.set_exception(error)
    else:
        work.vector.set_result(vectors[0])
