"""Several waits at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")

MOST_THREADS = 8

_WAKE_SECONDS = 0.2


def apply(function: Callable[[Given], Found], items: Sequence[Given]) -> tuple[Found, ...]:
    """Apply a function to every item on threads, and return what it found in the items' order.

    The first failure is raised, and neither it nor Ctrl-C waits for the other items: programs that
    they started are ended with this process.
    """
    pool = ThreadPoolExecutor(MOST_THREADS)
    try:
        futures = [pool.submit(function, item) for item in items]
        return tuple(awaited(future) for future in futures)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def awaited(future: Future[Found]) -> Found:
    """Return what a future comes to; a signal is heard within a moment.

    The system hands a signal to any of a process's threads, mostly but not always to the first.
    Python's handler runs in the first one, which a wait without end keeps from it if another thread
    was handed the signal (https://docs.python.org/3/library/signal.html#signals-and-threads): so
    this wait wakes up by itself.
    """
    while not wait([future], timeout=_WAKE_SECONDS).done:
        pass
    return future.result()
