"""Several waits at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")

MOST_THREADS = 8


def apply(function: Callable[[Given], Found], items: Sequence[Given]) -> tuple[Found, ...]:
    """Apply a function to every item on threads, and return what it found in the items' order.

    The first failure is raised, and neither it nor Ctrl-C waits for the other items: programs that
    they started are ended with this process.
    """
    pool = ThreadPoolExecutor(MOST_THREADS)
    try:
        return tuple(pool.map(function, items))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
