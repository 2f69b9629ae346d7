"""Reloading: another model, or other settings, in the place of those in force, without a gap."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from embedding_service import memory
from embedding_service.configuration import Configuration
from embedding_service.embedder import Embedder
from embedding_service.errors import NotReadyError, SpaceChangeError, StartError
from embedding_service.served import Served
from embedding_service.serving import Generation, Serving
from embedding_service.settings import Settings

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reloaded:
    """What a reload has done.

    Attributes:
        before: What was served.
        after: What is served now.
        embedder: What serves it.
    """

    before: Served
    after: Served
    embedder: Embedder


class Reloader:
    """Replaces the embedder in force; one reload after another.

    The successor is loaded and checked beside the one in force, so that memory must be enough for
    both; then it replaces it in one step. Requests in flight finish with the former, which is freed
    when none is left. If anything fails, nothing has changed.

    Args:
        serving: What is served.
        new_embedder: Makes an embedder for settings, not started yet; it may take its time.
        configuration: Where settings come from.
        on_reload: Is told of each reload how it went.
    """

    def __init__(
        self,
        serving: Serving,
        new_embedder: Callable[[Settings], Embedder],
        configuration: Configuration,
        *,
        on_reload: Callable[[Literal["succeeded", "failed"]], None] = lambda _: None,
    ) -> None:
        self._serving = serving
        self._new_embedder = new_embedder
        self._configuration = configuration
        self._on_reload = on_reload
        self._lock = asyncio.Lock()
        self._retirement: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def reload(
        self, changes: Mapping[str, object], *, allow_space_change: bool = False
    ) -> Reloaded:
        """Read the settings and the model again, and serve these from now on.

        It goes on to its end even where nobody waits for it any more: a client that goes away
        cancels what its request does.

        Args:
            changes: Settings to change, and to keep so; see `Configuration.proposed`.
            allow_space_change: Whether vectors may be of another space from now on.

        Raises:
            NotReadyError: The first model is still loading.
            SpaceChangeError: The space would be another one.
            StartError: The settings or the model cannot be used.
        """
        work = self._reload(changes, allow_space_change=allow_space_change)
        return await asyncio.shield(self._kept(work))

    def on_hangup(self) -> None:
        """Reload after SIGHUP; what goes wrong is in the log."""
        self._kept(self._after_hangup())

    def _kept(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Return a task for this; the event loop itself would forget it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _after_hangup(self) -> None:
        await _in_thread(self._serving.current.settled)
        with contextlib.suppress(NotReadyError, SpaceChangeError, StartError):
            await self._reload({}, allow_space_change=False)

    async def _reload(self, changes: Mapping[str, object], *, allow_space_change: bool) -> Reloaded:
        async with self._lock:
            begun = time.monotonic()
            try:
                reloaded = await self._replace(changes, allow_space_change=allow_space_change)
            except Exception as error:
                logger.error("reload failed, nothing has changed: %s", error)  # noqa: TRY400
                self._on_reload("failed")
                raise
            seconds = time.monotonic() - begun
            named = ", ".join(f"{name}: {value}" for name, value in changes.items()) or "none"
            logger.info("reloaded in %.2f s (changes: %s): %s", seconds, named, reloaded.after)
            self._on_reload("succeeded")
            return reloaded

    async def _replace(
        self, changes: Mapping[str, object], *, allow_space_change: bool
    ) -> Reloaded:
        if not self._serving.current.is_ready:
            raise NotReadyError("the model is still loading")
        if self._retirement is not None:
            await asyncio.wait([self._retirement])  # so that there are never more than two models
        current = self._serving.current
        proposal = await _in_thread(lambda: self._configuration.proposed(changes))
        successor = await _in_thread(lambda: self._new_embedder(proposal.settings))
        before, after = _served(current), _served(successor)
        is_allowed = allow_space_change or proposal.settings.allow_space_change
        if before.vector_space != after.vector_space and not is_allowed:
            raise SpaceChangeError(before=before.vector_space, after=after.vector_space)
        if changes and _is_loaded_alike(current, successor):
            await _in_thread(lambda: self._configuration.keep(proposal))
            current.settings = successor.settings
            return Reloaded(before=before, after=after, embedder=current)
        await _in_thread(lambda: _load(successor))
        try:
            await _in_thread(lambda: self._configuration.keep(proposal))
        except StartError:
            await _in_thread(lambda: _free(successor))
            raise
        former = self._serving.replace(successor)
        self._retirement = self._kept(_retire(former))
        return Reloaded(before=before, after=after, embedder=successor)


def _is_loaded_alike(current: Embedder, successor: Embedder) -> bool:
    """Return whether there is no need to load the model again."""
    is_the_same = (current.backend, current.recipe) == (successor.backend, successor.recipe)
    return is_the_same and successor.settings.loads_as(current.settings)


def _served(embedder: Embedder) -> Served:
    return Served.of(embedder.recipe, embedder.settings)


def _load(embedder: Embedder) -> None:
    embedder.start(on_failure=lambda: None)
    embedder.settled()
    if embedder.failure:
        memory.forget(embedder.failure)
        memory.free()
        raise embedder.failure


def _free(embedder: Embedder) -> None:
    embedder.stop(timeout=None)
    memory.free()


async def _retire(former: Generation) -> None:
    await former.unused.wait()
    await _in_thread(lambda: _free(former.embedder))


async def _in_thread(work: Callable[[], T]) -> T:
    """Do what takes its time in a thread that does not keep the process from ending.

    `asyncio.to_thread`'s would: the event loop waits for them when it is closed.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # it is not cancelled any more, whoever stops waiting

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 -- it is raised where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return await asyncio.wrap_future(done)
