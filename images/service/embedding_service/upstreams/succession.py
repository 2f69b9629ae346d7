"""The succession: which upstream of a space is asked, and which one after it fails."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from embedding_service.contract import Vectors
from embedding_service.errors import UpstreamError
from embedding_service.upstreams.line import FailingError, Line, UnusableError
from embedding_service.upstreams.upstream import Upstream

FIRST_REST, LONGEST_REST = 0.25, 8.0
"""Seconds for which an upstream that failed is not asked: each rest is twice the last one."""

MOST_LATER = 300.0
"""Seconds after which an upstream is asked again, however much later it asks for."""

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class _Place:
    """A line, and how it has done.

    Attributes:
        line: The line.
        failures: How many times it failed, one after the other.
        failed_at: When it did so last.
        due: When it may be asked again.
        is_unusable: Whether it was not what it is declared to be.
        is_tried: Whether it is being asked for the first time after a failure.
    """

    line: Line
    failures: int = 0
    failed_at: float = -math.inf
    due: float = -math.inf
    is_unusable: bool = False
    is_tried: bool = False


@dataclass(kw_only=True)
class _Asking:
    """What a request has found so far, by the upstream's place."""

    deadline: float
    found: dict[int, str] = field(default_factory=dict)
    given_up: set[int] = field(default_factory=set)


class Succession:
    """Upstreams of one space, the preferred one first. Any thread may ask.

    The first that is not resting is asked. After a failure it rests, and the next one is asked at
    once; where all rest, the first to be due is waited for. One that is not what it is declared to
    be is asked again only where no other is due, and once a request.

    Args:
        lines: To the upstreams.
        seconds: After which a request is given up, all attempts together.
        on_answer: Is told who has answered.
    """

    def __init__(
        self, lines: Sequence[Line], *, seconds: float, on_answer: Callable[[Upstream], None]
    ) -> None:
        self._places = [_Place(line=line) for line in lines]
        self._seconds = seconds
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return the texts' vectors, of shape (texts, dimension), all by the same upstream.

        Raises:
            TextRefusedError: An upstream refuses the texts. No other one is asked.
            UpstreamError: None of them gives vectors in time.
        """
        asking = _Asking(deadline=time.monotonic() + self._seconds)
        while (index := self._next(asking)) is not None:
            place = self._places[index]
            begun = time.monotonic()
            try:
                vectors = place.line.vectors(texts, seconds=self._share(asking, index, begun))
            except FailingError as error:
                asking.found[index] = str(error)
                self._rest(place, begun, error)
            except UnusableError as error:
                asking.found[index] = str(error)
                asking.given_up.add(index)
                self._rest(place, begun, error)
            except BaseException:
                place.is_tried = False
                raise
            else:
                self._praise(place)
                self._on_answer(place.line.upstream)
                return vectors
        raise self._failure(asking)

    def close(self) -> None:
        """Wait for no upstream any more, and close the connections."""
        self._closed.set()
        for place in self._places:
            place.line.close()

    def _next(self, asking: _Asking) -> int | None:
        """Return the place of the upstream to ask, once it may be asked; None: there is none."""
        while not self._closed.is_set():
            now = time.monotonic()
            left = [
                (index, place)
                for index, place in enumerate(self._places)
                if index not in asking.given_up
            ]
            if not left or now >= asking.deadline:
                return None
            with self._lock:
                due = [index for index, place in left if place.due <= now]
                # Whether one that failed is well again, one request finds out for all.
                well = [index for index in due if not self._places[index].is_tried]
                unusable = [index for index, place in left if place.is_unusable]
                if chosen := (well or due or unusable):
                    place = self._places[chosen[0]]
                    place.is_tried = place.failures > 0
                    return chosen[0]
                first = min(place.due for _, place in left)
            if first > asking.deadline:
                return None
            # Another request may find out earlier that one is well again.
            self._closed.wait(min(first - now, FIRST_REST))
        return None

    def _share(self, asking: _Asking, index: int, now: float) -> float:
        """Return how long an upstream may take, so that time is left for those not asked yet."""
        others = [
            other
            for other in range(len(self._places))
            if other != index and other not in asking.found
        ]
        return max((asking.deadline - now) / (1 + len(others)), 0.1)

    def _rest(self, place: _Place, begun: float, error: FailingError | UnusableError) -> None:
        now = time.monotonic()
        with self._lock:
            place.is_tried = False
            is_news = place.failures == 0
            if begun >= place.failed_at:  # and not for each of several requests at the same time
                place.failures += 1
                place.failed_at = now
            rest = min(FIRST_REST * 2 ** (place.failures - 1), LONGEST_REST)
            # So that those who failed together do not all come back together.
            rest *= random.uniform(0.75, 1.0)  # noqa: S311 -- no secret
            place.is_unusable = isinstance(error, UnusableError)
            if place.is_unusable:
                rest = LONGEST_REST
            if isinstance(error, FailingError) and error.later is not None:
                rest = min(error.later, MOST_LATER)
            place.due = max(place.due, now + rest)
            place.line.doubt()
        if is_news:
            logger.warning("%s %s", place.line.upstream.address, error)

    def _praise(self, place: _Place) -> None:
        with self._lock:
            was_failing = place.failures > 0
            place.failures = 0
            place.due = -math.inf
            place.is_unusable = place.is_tried = False
        if was_failing:
            logger.info("%s answers again", place.line.upstream.address)

    def _failure(self, asking: _Asking) -> UpstreamError:
        now = time.monotonic()
        found = "; ".join(
            f"{place.line.upstream.address} "
            + asking.found.get(index, f"is not asked for another {max(place.due - now, 0):.0f} s")
            for index, place in enumerate(self._places)
        )
        due = min(place.due for place in self._places)
        return UpstreamError(
            f"no upstream gives a vector within {self._seconds:g} s: {found}"
            if not asking.given_up
            else found,
            seconds=max(1, math.ceil(due - now)) if math.isfinite(due) else 1,
            is_absent=not asking.given_up,
        )
