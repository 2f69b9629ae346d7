"""Whether a container was ready in time is measured, not assumed."""

from __future__ import annotations

import pytest

from builders import smoke


@pytest.mark.parametrize(("seconds", "passed"), [(0.9, True), (60.0, True), (60.1, False)])
def test_ready_in_time(seconds: float, passed: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    check = smoke.readiness(seconds, limit=60, execution="emulated")

    assert check.passed is passed
    assert (check.figure, check.limit) == (seconds, 60)
    assert check.details == ("emulated, seconds",)
