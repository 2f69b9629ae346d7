"""How long each part of something took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


def _silent(_name: str) -> None:
    pass


@dataclass(kw_only=True)
class Parts:
    """Tells which part begins, and keeps how long each took."""

    tell: Callable[[str], None] = _silent
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a block; one that fails has no time."""
        self.tell(name)
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 3)
