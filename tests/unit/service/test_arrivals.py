"""How vectors come from an embedder's threads into the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
import pytest

from embedding_service.arrivals import arrivals
from embedding_service.embedder import Vector
from embedding_service.errors import EmbeddingError

VECTOR = np.ones(3, dtype=np.float32)


def in_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_a_batch_arrives_at_once_and_only_when_it_is_brought() -> None:
    async def run() -> None:
        here = arrivals()
        futures: list[Future[Vector]] = [Future(), Future()]
        waiters = [here.awaited(future) for future in futures]
        for future in futures:
            in_thread(lambda future=future: future.set_result(VECTOR))  # type: ignore[misc]
        await asyncio.sleep(0.01)
        assert not any(waiter.done() for waiter in waiters)
        in_thread(here.bring)
        assert all(one is VECTOR for one in await asyncio.gather(*waiters))

    asyncio.run(asyncio.wait_for(run(), 30))


def test_what_was_done_before_anybody_awaited_it_arrives() -> None:
    async def run() -> None:
        future: Future[Vector] = Future()
        future.set_result(VECTOR)
        arrivals().bring()
        assert await arrivals().awaited(future) is VECTOR

    asyncio.run(asyncio.wait_for(run(), 30))


def test_an_error_arrives_at_its_own_request_and_a_cancelled_one_is_left_alone() -> None:
    async def run() -> None:
        here = arrivals()
        failed, cancelled, gone, fine = (Future[Vector]() for _ in range(4))
        waiters = [here.awaited(future) for future in (failed, cancelled, gone, fine)]
        waiters[2].cancel()
        failed.set_exception(EmbeddingError("failed"))
        cancelled.cancel()
        gone.set_result(VECTOR)
        fine.set_result(VECTOR)
        in_thread(here.bring)
        with pytest.raises(EmbeddingError):
            await waiters[0]
        assert await waiters[3] is VECTOR
        assert waiters[1].cancelled()
        assert waiters[2].cancelled()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_loop_that_is_closed_or_gone_is_told_nothing_and_not_kept() -> None:
    async def run() -> Callable[[], None]:
        return arrivals().bring

    loop = asyncio.new_event_loop()
    bring = loop.run_until_complete(run())
    loop.close()
    bring()
    kept = weakref.ref(loop)
    del loop
    gc.collect()
    assert kept() is None
    bring()
