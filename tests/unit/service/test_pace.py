from __future__ import annotations

import pytest

from embedding_service.pace import Pace


def test_before_anything_is_known_it_is_a_second() -> None:
    assert Pace().seconds(4096) == 1


def test_it_is_as_long_as_what_waits_takes_within_bounds() -> None:
    pace = Pace()
    pace.learn(0.01)
    assert pace.seconds(10) == 1
    assert pace.seconds(1000) == 10
    assert pace.seconds(10**6) == 60


def test_it_follows_what_is_computed_and_forgets_an_outlier() -> None:
    pace = Pace()
    for seconds in [0.01] * 9 + [1.0] + [0.01] * 50:
        pace.learn(seconds)
    assert pace.seconds(1000) == pytest.approx(10, abs=2)
    for _ in range(50):
        pace.learn(0.02)
    assert pace.seconds(1000) == pytest.approx(20, abs=2)
