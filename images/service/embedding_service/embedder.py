"""The embedder: a loaded model, the threads that use it, and the inputs that wait for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedding_service import contract, memory, self_check
from embedding_service.batches import Limits, Waiting
from embedding_service.contract import Backend, Capabilities
from embedding_service.errors import (
    EmbeddingError,
    InputError,
    ModelError,
    NotReadyError,
    QueueFullError,
    StartError,
    UpstreamError,
)
from embedding_service.lengths import length
from embedding_service.observer import Observer, Unobserved
from embedding_service.pace import Pace
from embedding_service.reading import Read, Reader
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

SWEEP_SECONDS = 0.1
"""A full queue is searched so often for what nobody waits for any more."""

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]
"""float32, of shape (dimension,)."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    read: Read
    vector: Future[Vector]
    since: float
    arrived: Callable[[], None]


class Embedder:
    """Loads the model, checks it on an input of each kind, then embeds what is submitted.

    The model is used by threads of its own, as many as its backend can do with: with some
    libraries, two threads in one model crash the process. What has come in while they computed is
    computed next, in batches. What nobody waits for any more is dropped.

    Args:
        backend: The class of the backend.
        recipe: The model's recipe.
        settings: Where the model is, with how many threads to compute, how much may wait.
        observer: Is told of batches.
    """

    def __init__(
        self,
        *,
        backend: type[Backend],
        recipe: Recipe,
        settings: Settings,
        observer: Observer | None = None,
    ) -> None:
        self.backend = backend
        self.recipe = recipe
        self.failure: StartError | None = None
        self.runtime: Mapping[str, str] = {}
        self.settings = settings
        self.observer = observer or Unobserved()
        self._reader: Reader | None = None
        self._capabilities: Capabilities | None = None
        self._changed = threading.Condition()
        self._waiting: Waiting[_Work] = Waiting(Limits(inputs=1, tokens=1))
        self._pace = Pace()
        self._sweep_at = 0.0
        self._is_closed = False
        self._ready = threading.Event()
        self._settled = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded and has passed its check."""
        return self._ready.is_set()

    @property
    def waiting(self) -> int:
        """How many inputs wait to be computed."""
        return len(self._waiting)

    @property
    def reader(self) -> Reader:
        """What reads inputs for this model.

        Raises:
            NotReadyError: The model is still loading.
        """
        if self._reader is None or not self.is_ready:
            raise NotReadyError("the model is still loading")
        return self._reader

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

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until the model is ready or has failed; return whether it has come to that."""
        return self._settled.wait(timeout)

    def submit(
        self, reads: Sequence[Read], *, arrived: Callable[[], None] = lambda: None
    ) -> list[Future[Vector]]:
        """Hand over the inputs of a request, all or none of them.

        A future fails with an InputError or an EmbeddingError. A cancelled one is not computed.

        Args:
            reads: The inputs.
            arrived: Called in the embedder's thread when futures of these inputs are done: once
                for a batch, by whichever requests it was given.

        Raises:
            NotReadyError: The model is still loading, or no longer there.
            QueueFullError: Too much is waiting. A request that finds nothing waiting is always
                taken.
        """
        if not self.is_ready:
            raise NotReadyError("the model is still loading")
        now = time.monotonic()
        works = [_Work(read=read, vector=Future(), since=now, arrived=arrived) for read in reads]
        with self._changed:
            if self._is_closed:
                raise NotReadyError("the service is stopping")
            if len(self._waiting) + len(works) > self.settings.queue and now > self._sweep_at:
                self._sweep_at = now + SWEEP_SECONDS
                self.observer.dropped(self._waiting.drop(lambda work: work.vector.cancelled()))
            before = len(self._waiting)
            if before and before + len(works) > self.settings.queue:
                raise QueueFullError(waiting=before, seconds=self._pace.seconds(before))
            for work in works:
                self._waiting.add(work, length=length(work.read, self._capabilities))
            self._changed.notify_all()
        return [work.vector for work in works]

    def stop(self, *, timeout: float | None) -> None:
        """Embed what is waiting, free the model, end the thread.

        It may be in a library's own code, where only the end of the process stops it.

        Args:
            timeout: Seconds to wait for that, None: to its end; a model that is still loading
                is not waited for.
        """
        if self._thread is None:
            return
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._settled.is_set():
            self._thread.join(timeout)

    def _run(self, on_failure: Callable[[], None]) -> None:
        begun = time.monotonic()
        try:
            model_dir = self.settings.model_dir
            model = contract.load(model_dir, self.recipe, self.backend, self.settings)
            self_check.check(model, self.recipe, model_dir)
        except Exception as error:  # noqa: BLE001 -- whatever it is, somebody waits to be told
            self.failure = error if isinstance(error, StartError) else _unforeseen(error)
            self._settled.set()
            on_failure()
            return
        self.runtime = model.runtime
        self._capabilities = model.capabilities
        self._reader = Reader(self.recipe, model.tokenizer)
        self._waiting = Waiting(_limits(model.capabilities, self.settings))
        self._ready.set()
        self._settled.set()
        logger.info(
            "ready: %s with %s (%s; threads: %d), loaded in %.2f s",
            self.recipe.name,
            self.backend.name,
            "; ".join(f"{key}: {value}" for key, value in self.runtime.items()),
            self.settings.threads,
            time.monotonic() - begun,
        )
        memory.trim()  # the files' content, as it was read
        others = [
            threading.Thread(target=self._work, args=[model], name="embedder", daemon=True)
            for _ in range(model.capabilities.concurrent - 1)
        ]
        for other in others:
            other.start()
        self._work(model)
        for other in others:
            other.join()
        model.close()

    def _work(self, model: Backend) -> None:
        """Compute batch after batch, until there is none and there will be none."""
        while batch := self._next():
            live = [work for work in batch if work.vector.set_running_or_notify_cancel()]
            if gone := len(batch) - len(live):
                self.observer.dropped(gone)
            now = time.monotonic()
            for work in live:
                self.observer.waited(now - work.since)
            try:
                self._compute(model, live)
            except Exception:  # a backend broke its contract: the next batch may be better
                logger.exception("a batch failed")
                for work in live:
                    if not work.vector.done():
                        work.vector.set_exception(EmbeddingError("a batch failed"))
            for arrived in {work.arrived for work in batch}:
                arrived()

    def _next(self) -> list[_Work]:
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            return self._waiting.take()

    def _compute(self, model: Backend, works: Sequence[_Work]) -> None:
        """Compute a batch; one input that cannot be embedded does not harm the others."""
        while works:
            begun = time.monotonic()
            try:
                vectors = contract.computed(model, self.recipe, [work.read.given for work in works])
            except InputError as error:
                refused, works = works[error.index], _without(works, error.index)
                error.index = 0  # of its own request, which knows its place
                refused.vector.set_exception(error)
            except EmbeddingError as error:
                logger.error("%s", error)  # noqa: TRY400 -- a trace ends with the library's message
                if len(works) == 1 or isinstance(error, UpstreamError):
                    for work in works:
                        work.vector.set_exception(error)
                else:  # it may be one of them
                    for work in works:
                        self._compute(model, [work])
                return
            else:
                seconds = time.monotonic() - begun
                self._pace.learn(seconds / len(works))
                lengths = [length(work.read, self._capabilities) for work in works]
                self.observer.computed(
                    inputs=len(works),
                    tokens=sum(lengths),
                    padded=max(lengths) * len(works),
                    seconds=seconds,
                )
                for work, vector in zip(works, vectors, strict=True):
                    work.vector.set_result(vector)
                return


def _limits(capabilities: Capabilities, settings: Settings) -> Limits:
    inputs = 1 if capabilities.batching == "none" else settings.batch_inputs
    return Limits(inputs=inputs, tokens=settings.batch_tokens)


def _without(works: Sequence[_Work], index: int) -> Sequence[_Work]:
    return [*works[:index], *works[index + 1 :]]


def _unforeseen(error: Exception) -> ModelError:
    failure = ModelError(f"the model cannot be served: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
