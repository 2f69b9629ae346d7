"""How long one text takes where several services keep the processors busy."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from builders.bench import single
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.bench.single import Repeated, Subject

SERVICES = THREADS = 2
ROUNDS = 5


def threads(bench: Bench) -> tuple[Figure, ...]:
    """Time two services at a time on two processors, with one thread each and with two."""
    one = single.installed(bench)
    two = replace(one, threads=THREADS)
    rounds: list[tuple[float, float]] = []
    with bench.reporter.step("threads") as step:
        for _ in range(ROUNDS):
            rounds.append((_together(one), _together(two)))
            step.note(", ".join(f"{milliseconds:.2f} ms" for milliseconds in rounds[-1]))
    return compared(rounds)


def compared(rounds: Sequence[tuple[float, float]]) -> tuple[Figure, ...]:
    """Return the medians of both, and of each round's quotient; all times in milliseconds."""
    return (
        median("one", [first for first, _ in rounds]),
        median("two", [second for _, second in rounds]),
        median("ratio", [second / first for first, second in rounds]),
    )


def typical(found: Sequence[Repeated]) -> float:
    """Return the median time of a text in milliseconds, over all services."""
    return statistics.median(seconds for one in found for seconds in one.seconds) * 1e3


def _together(subject: Subject) -> float:
    with ThreadPoolExecutor(SERVICES) as pool:
        return typical(tuple(pool.map(single.repeated, [subject] * SERVICES)))
