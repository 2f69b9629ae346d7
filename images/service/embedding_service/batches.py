"""Batches: which of the waiting inputs are computed next, together."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

PATIENCE = 8
"""How many batches of shorter inputs may overtake the input that has waited longest."""

CLOSE = 16
"""How many tokens of padding never matter."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What bounds a batch, and with it the memory that computing it takes.

    Attributes:
        inputs: How many inputs it has at most.
        tokens: How many tokens at most, padding included: inputs times the longest of them. An
            input that alone has more is a batch by itself.
    """

    inputs: int
    tokens: int


@dataclass(frozen=True, kw_only=True, order=True)
class _Waiting(Generic[T]):
    length: int
    number: int
    item: T = field(compare=False)


class Waiting(Generic[T]):
    """The inputs that wait, from which batches are taken. One thread at a time uses it.

    Nothing is waited for: a batch is what is there. The shortest inputs come first, together with
    those of about their length, so that padding stays small, and a short text does not wait for all
    the long ones before it; but the one that has waited longest is overtaken by `PATIENCE` batches
    at most, and then computed with those that are as long or a little shorter.

    Args:
        limits: Of a batch.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_length: list[_Waiting[T]] = []
        self._by_age: dict[int, _Waiting[T]] = {}
        self._numbers = itertools.count()
        self._overtaken = 0

    def __len__(self) -> int:
        return len(self._by_length)

    def add(self, item: T, *, length: int) -> None:
        """Let an input wait.

        Args:
            item: The input.
            length: In tokens; what computing it costs.
        """
        waiting = _Waiting(length=length, number=next(self._numbers), item=item)
        bisect.insort(self._by_length, waiting)
        self._by_age[waiting.number] = waiting

    def drop(self, is_gone: Callable[[T], bool]) -> int:
        """Let no input wait any more of which this holds; return how many those were."""
        before = len(self)
        self._by_length = [each for each in self._by_length if not is_gone(each.item)]
        kept = {each.number for each in self._by_length}
        self._by_age = {number: each for number, each in self._by_age.items() if number in kept}
        return before - len(self)

    def take(self) -> list[T]:
        """Return the next batch: nothing if nothing waits."""
        if not self._by_length:
            return []
        oldest = next(iter(self._by_age.values()))
        if self._overtaken < PATIENCE:
            begin, end = 0, self._reach(self._by_length)
        else:
            begin, end = self._around(oldest)
        batch = self._by_length[begin:end]
        del self._by_length[begin:end]
        for waiting in batch:
            del self._by_age[waiting.number]
        self._overtaken = self._overtaken + 1 if oldest.number in self._by_age else 0
        return [waiting.item for waiting in batch]

    def _reach(self, ascending: Sequence[_Waiting[T]]) -> int:
        """Return how many of the first of these may be computed together."""
        shortest = ascending[0].length
        count = 1
        for waiting in itertools.islice(ascending, 1, self._limits.inputs):
            is_far = not _alike(shortest, waiting.length)
            if is_far or (count + 1) * waiting.length > self._limits.tokens:
                break
            count += 1
        return count

    def _around(self, longest: _Waiting[T]) -> tuple[int, int]:
        """Return where those begin and end that may be computed with this one, itself included."""
        most = max(1, min(self._limits.inputs, self._limits.tokens // max(longest.length, 1)))
        begin = bisect.bisect_left(self._by_length, longest)
        as_long = bisect.bisect_right(self._by_length, longest.length, key=lambda each: each.length)
        end = min(as_long, begin + most)
        while (
            begin > 0
            and end - begin < most
            and _alike(self._by_length[begin - 1].length, longest.length)
        ):
            begin -= 1
        return begin, end


def _alike(shorter: int, longer: int) -> bool:
    return longer <= max(shorter + shorter // 2, shorter + CLOSE)
