"""Serving: which embedder answers; a request keeps the one that it began with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from embedding_service.embedder import Embedder


@dataclass(kw_only=True)
class Generation:
    """An embedder, from the moment when it is put in force until nothing uses it any more."""

    embedder: Embedder
    users: int = 0
    is_former: bool = False
    unused: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is a former one and no request has it."""

    def settle(self) -> None:
        """Set `unused` if that is so."""
        if self.is_former and not self.users:
            self.unused.set()


class Serving:
    """What the routes ask for the embedder in force. All in the event loop's thread.

    Args:
        first: The embedder that the process starts with.
    """

    def __init__(self, first: Embedder) -> None:
        self._generation = Generation(embedder=first)

    @property
    def current(self) -> Embedder:
        """The embedder that answers requests that come in now."""
        return self._generation.embedder

    @contextlib.contextmanager
    def using(self) -> Iterator[Embedder]:
        """Keep the embedder in force from being stopped, until the block ends."""
        generation = self._generation
        generation.users += 1
        try:
            yield generation.embedder
        finally:
            generation.users -= 1
            generation.settle()

    def replace(self, successor: Embedder) -> Generation:
        """Put another embedder in force, and return the former one, which requests may still use.

        Args:
            successor: It is ready.
        """
        former, self._generation = self._generation, Generation(embedder=successor)
        former.is_former = True
        former.settle()
        return former
