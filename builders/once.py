"""Values that several threads need and one makes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Once(Generic[Key, Value]):
    """Makes one value for each key: the first to ask makes it, others wait for it.

    A failure is what everybody gets: it is not tried again.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._futures: dict[Key, Future[Value]] = {}

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made by `make` if nobody has made it yet."""
        with self._guard:
            future = self._futures.get(key)
            mine = future is None
            if future is None:
                future = self._futures[key] = Future()
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:  # noqa: BLE001 (everybody who waits gets it, and we below)
                future.set_exception(error)
        return future.result()
