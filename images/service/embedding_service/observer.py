"""The observer: is told what an embedder does, for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Is told what an embedder does. Its threads call it, several at a time."""

    def computed(self, *, inputs: int, tokens: int, padded: int, seconds: float) -> None:
        """A batch was computed.

        Args:
            inputs: How many inputs it had.
            tokens: How many tokens they had.
            padded: How many with the padding.
            seconds: How long it took.
        """
        ...

    def waited(self, seconds: float) -> None:
        """An input is about to be computed, and has waited so long."""
        ...

    def dropped(self, inputs: int) -> None:
        """So many inputs are not computed, as nobody waits for them any more."""
        ...

    def read(self, tokens: Sequence[int], *, seconds: float) -> None:
        """A request's inputs were read.

        Args:
            tokens: How many each of its inputs has, as far as that is known here; at least one.
            seconds: How long it took.
        """
        ...


class Unobserved:
    """Takes no notice."""

    def computed(self, *, inputs: int, tokens: int, padded: int, seconds: float) -> None:
        """Do nothing."""

    def waited(self, seconds: float) -> None:
        """Do nothing."""

    def dropped(self, inputs: int) -> None:
        """Do nothing."""

    def read(self, tokens: Sequence[int], *, seconds: float) -> None:
        """Do nothing."""
