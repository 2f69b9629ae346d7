"""Items are worked on at once, and a failure does not wait for the rest."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from builders.parallel import apply, awaited


def test_results_come_in_the_items_order_and_at_once() -> None:
    meeting = threading.Barrier(3, timeout=5)

    def double(number: int) -> int:
        meeting.wait()  # passes only if all three are here
        return 2 * number

    assert apply(double, [3, 1, 2]) == (6, 2, 4)
    assert apply(double, []) == ()


def test_a_failure_does_not_wait_for_the_rest() -> None:
    release = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("item 0")
        release.wait(30)

    begin = time.monotonic()
    with pytest.raises(ValueError, match="item 0"):
        apply(work, [0, 1])
    assert time.monotonic() - begin < 5
    release.set()


def test_what_is_awaited_comes_back_or_is_raised() -> None:
    for outcome in (7, ValueError("no")):
        future: Future[int] = Future()
        if isinstance(outcome, int):
            future.set_result(outcome)
            assert awaited(future) == 7
        else:
            future.set_exception(outcome)
            with pytest.raises(ValueError, match="no"):
                awaited(future)


def in_pool(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        awaited(pool.submit(work))


def by_items(work: Callable[[], None]) -> None:
    apply(lambda _: work(), [0])


@pytest.mark.parametrize("waiting", [in_pool, by_items])
def test_a_signal_that_another_thread_was_handed_is_heard(
    waiting: Callable[[Callable[[], None]], None],
) -> None:
    """`Future.result` would hear it only when the work is done: here, never."""
    heard, late = threading.Event(), threading.Event()

    def interrupt(_number: int, _frame: object) -> None:
        heard.set()
        raise KeyboardInterrupt

    def work() -> None:
        time.sleep(0.3)  # until the other thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        if not heard.wait(10):
            late.set()

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            waiting(work)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not late.is_set()
