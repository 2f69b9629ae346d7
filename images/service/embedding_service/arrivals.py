"""Arrivals: how vectors come from an embedder's threads to the requests that wait for them.

Those of a batch come at once. Told one by one, as asyncio does it, the event loop's thread would
wake up for the first, and take the interpreter from the embedder's, which has a batch to begin.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from concurrent.futures import Future

from embedding_service.embedder import Vector


class Arrivals:
    """Brings vectors into an event loop.

    Args:
        loop: In which requests wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # which is the key that this is kept by
        self._arrived: deque[tuple[Future[Vector], asyncio.Future[Vector]]] = deque()

    def awaited(self, future: Future[Vector]) -> asyncio.Future[Vector]:
        """Return what a request awaits; called in the event loop.

        Args:
            future: Of an embedder that calls `bring` when it is done.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Vector] = loop.create_future()
        future.add_done_callback(lambda done: self._arrived.append((done, waiter)))
        if future.done():  # perhaps before it could be told
            loop.call_soon(self._hand_over)
        return waiter

    def bring(self) -> None:
        """Hand over what has arrived; called by any thread, once for a batch."""
        loop = self._loop()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            if loop is not None:
                loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        while self._arrived:
            future, waiter = self._arrived.popleft()
            if waiter.done():  # its request was cancelled
                continue
            if future.cancelled():
                waiter.cancel()
            elif error := future.exception():
                waiter.set_exception(error)
            else:
                waiter.set_result(future.result())


def arrivals() -> Arrivals:
    """Return what brings vectors into the running event loop: one for all that wait there."""
    loop = asyncio.get_running_loop()
    return _LOOPS.get(loop) or _LOOPS.setdefault(loop, Arrivals(loop))


_LOOPS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Arrivals] = weakref.WeakKeyDictionary()
