"""Pace: how fast inputs are computed lately, and so when it is worth asking again."""

from __future__ import annotations

import math

LONGEST = 60
"""Seconds after which a client is told to ask again at the latest."""

_SHARE = 1 / 8
"""Of the latest batch in the average."""


class Pace:
    """Learns how long an input takes. Any thread may use it."""

    def __init__(self) -> None:
        self._per_input: float | None = None

    def learn(self, seconds: float) -> None:
        """Take into account that an input of a batch took so long."""
        before = seconds if self._per_input is None else self._per_input
        self._per_input = before + _SHARE * (seconds - before)

    def seconds(self, inputs: int) -> int:
        """Return in how many seconds, at least 1, so many inputs will be computed."""
        expected = math.ceil(inputs * (self._per_input or 0))
        return min(max(expected, 1), LONGEST)
