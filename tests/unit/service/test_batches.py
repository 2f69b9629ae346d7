from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from embedding_service.batches import CLOSE, PATIENCE, Limits, Waiting

Item = tuple[int, int]
"""Its number in the order of arrival, and its length."""

SHORT, LONG = 4, 512

lengths = st.one_of(st.integers(0, 40), st.integers(0, 600), st.sampled_from([SHORT, LONG]))
arrivals = st.lists(st.lists(lengths, max_size=20), max_size=30)
limits = st.builds(Limits, inputs=st.integers(1, 40), tokens=st.integers(1, 5000))

properties = settings(derandomize=True, database=None, max_examples=150, deadline=None)


class Queue:
    """Inputs that wait, and what a careful observer knows of them."""

    def __init__(self, limits: Limits) -> None:
        self.waiting: Waiting[Item] = Waiting(limits)
        self.there: list[Item] = []
        self._arrived = 0

    def add(self, *lengths: int) -> None:
        for length in lengths:
            item = (self._arrived, length)
            self._arrived += 1
            self.there.append(item)
            self.waiting.add(item, length=length)
        assert len(self.waiting) == len(self.there)

    def take(self) -> list[Item]:
        """Return a batch, all of which was there and is not any more."""
        batch = self.waiting.take()
        assert bool(batch) == bool(self.there)
        assert len(set(batch)) == len(batch)
        assert set(batch) <= set(self.there)
        self.there = [item for item in self.there if item not in batch]
        assert len(self.waiting) == len(self.there)
        return batch


def taken(arrivals: Sequence[Sequence[int]], limits: Limits) -> list[list[Item]]:
    """Return the batches when one is taken after each arrival, and all the rest at the end."""
    queue = Queue(limits)
    batches = []
    for arrived in arrivals:
        queue.add(*arrived)
        batches.append(queue.take())
    while queue.there:
        batches.append(queue.take())
    assert queue.take() == []
    return [batch for batch in batches if batch]


def lengths_of(batch: Sequence[Item]) -> list[int]:
    return [length for _, length in batch]


@properties
@given(arrivals, limits)
def test_nothing_is_lost_and_nothing_computed_twice(
    arrivals: list[list[int]], limits: Limits
) -> None:
    arrived = [length for lengths in arrivals for length in lengths]
    found = sorted(item for batch in taken(arrivals, limits) for item in batch)
    assert found == list(enumerate(arrived))


@properties
@given(arrivals, limits)
@example([[5, 5, 5]], Limits(inputs=32, tokens=10))
@example([[600, 600]], Limits(inputs=32, tokens=599))
def test_no_batch_passes_its_limits(arrivals: list[list[int]], limits: Limits) -> None:
    for batch in taken(arrivals, limits):
        assert len(batch) <= limits.inputs
        if len(batch) > 1:  # what is alone too long is alone
            assert len(batch) * max(lengths_of(batch)) <= limits.tokens


@properties
@given(arrivals, limits)
def test_what_is_computed_together_is_of_about_one_length(
    arrivals: list[list[int]], limits: Limits
) -> None:
    for batch in taken(arrivals, limits):
        shortest, longest = min(lengths_of(batch)), max(lengths_of(batch))
        assert longest - shortest <= max(CLOSE, shortest / 2)


@properties
@given(arrivals, limits)
@example([[LONG, LONG, SHORT], *([SHORT] for _ in range(29))], Limits(inputs=1, tokens=9999))
def test_the_one_that_waits_longest_is_overtaken_so_many_times_only(
    arrivals: list[list[int]], limits: Limits
) -> None:
    queue = Queue(limits)
    oldest, overtaken = None, 0
    for arrived in [*arrivals, *([[SHORT]] * 30)]:
        queue.add(*arrived)
        if queue.there and queue.there[0] != oldest:
            oldest, overtaken = queue.there[0], 0
        batch = queue.take()
        if oldest not in batch:
            overtaken += 1
        assert overtaken <= PATIENCE


@properties
@given(st.lists(lengths, min_size=1, max_size=20), limits)
def test_of_what_came_together_the_shortest_are_first(arrived: list[int], limits: Limits) -> None:
    batch = taken([arrived], limits)[0]
    assert lengths_of(batch) == sorted(arrived)[: len(batch)]


@properties
@given(st.lists(lengths, min_size=1, max_size=20), limits)
def test_a_batch_is_as_large_as_it_may_be(arrived: list[int], limits: Limits) -> None:
    batch = taken([arrived], limits)[0]
    if len(batch) == min(len(arrived), limits.inputs):
        return
    shortest, following = min(arrived), sorted(arrived)[len(batch)]
    is_too_much = (len(batch) + 1) * following > limits.tokens
    assert is_too_much or following - shortest > max(CLOSE, shortest // 2)


def test_of_equal_inputs_those_that_came_first_are_first() -> None:
    batches = taken([[7, 7, 7, 7, 7]], Limits(inputs=2, tokens=100))
    assert [[number for number, _ in batch] for batch in batches] == [[0, 1], [2, 3], [4]]


def test_short_ones_do_not_wait_for_the_long_ones_before_them() -> None:
    batches = taken([[LONG] * 4 + [SHORT] * 3], Limits(inputs=32, tokens=2048))
    assert [lengths_of(batch) for batch in batches] == [[SHORT] * 3, [LONG] * 4]


def test_when_its_time_has_come_it_is_computed_with_its_equals() -> None:
    """In a stream of short ones, the long ones are not computed one by one."""
    queue = Queue(Limits(inputs=32, tokens=4 * LONG))
    queue.add(*[LONG] * 6)
    for _ in range(PATIENCE):
        queue.add(SHORT)
        assert lengths_of(queue.take()) == [SHORT]
    queue.add(SHORT)
    assert queue.take() == [(number, LONG) for number in range(4)]


def test_when_its_time_has_come_shorter_ones_fill_its_batch_up() -> None:
    queue = Queue(Limits(inputs=4, tokens=4 * LONG))
    queue.add(LONG)
    for _ in range(PATIENCE):
        queue.add(SHORT)
        queue.take()
    queue.add(SHORT, 300, 350, 400, 500, LONG + 1)
    assert lengths_of(queue.take()) == [350, 400, 500, LONG]
    assert lengths_of(queue.take()) == [SHORT]


def test_a_limit_of_one_computes_one_after_another() -> None:
    batches = taken([[3, 1, 2]], Limits(inputs=1, tokens=100))
    assert [lengths_of(batch) for batch in batches] == [[1], [2], [3]]


@properties
@given(arrived=st.lists(lengths, min_size=1, max_size=60), gone=st.sets(st.integers(0, 59)))
def test_what_is_dropped_is_in_no_batch_and_everything_else_is(
    arrived: Sequence[int], gone: set[int]
) -> None:
    queue = Queue(Limits(inputs=4, tokens=1000))
    queue.add(*arrived)
    dropped = [item for item in queue.there if item[0] in gone]
    assert queue.waiting.drop(lambda item: item[0] in gone) == len(dropped)
    queue.there = [item for item in queue.there if item not in dropped]
    while queue.there:
        queue.take()
    assert queue.take() == []
