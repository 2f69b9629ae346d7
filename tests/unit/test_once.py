"""Values that several threads need and one makes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from builders.once import Once


def test_of_many_threads_one_makes_the_value() -> None:
    once: Once[str, int] = Once()
    made: list[int] = []
    together = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return 42

    def ask() -> int:
        together.wait()
        return once.get("key", make)

    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(ask) for _ in range(8)]]

    assert found == [42] * 8
    assert made == [1]


def test_each_key_has_its_value() -> None:
    once: Once[str, str] = Once()
    assert once.get("a", lambda: "first") == "first"
    assert once.get("b", lambda: "second") == "second"
    assert once.get("a", lambda: "third") == "first"


def test_a_failure_is_everybodys() -> None:
    once: Once[str, int] = Once()
    tries: list[int] = []

    def fail() -> int:
        tries.append(1)
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            once.get("key", fail)
    assert tries == [1]
