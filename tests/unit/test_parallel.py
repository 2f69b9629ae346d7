"""Items are worked on at once, and a failure does not wait for the rest."""

from __future__ import annotations

import threading
import time

import pytest

from builders.parallel import apply


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
