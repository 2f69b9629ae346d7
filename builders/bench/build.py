"""The measurements of `nox -s bench -- build`, each from the real program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from builders import rebuild as rebuilds
from builders.bench import (
    anew,
    attest,
    cold,
    emulated,
    publish,
    service_change,
    single,
    sizes,
    start,
    threads,
    wheel,
)
from builders.bench.bench import Bench, median, nox_seconds
from builders.bench.emulated import Timed
from builders.bench.record import Bound, Figure
from builders.errors import BenchError
from builders.plan import Cell

REPETITIONS = 3
QUICK_REPETITIONS = 5
EMULATED = "linux/arm64"


def ratio(bench: Bench) -> tuple[Figure, ...]:
    """Time builds of both platforms, alternating."""
    amd64, arm64 = cells = _cells(bench, "linux/amd64", "linux/arm64")
    samples: dict[str, list[float]] = {cell.id: [] for cell in cells}
    with anew.workshop(bench.project, cells, bench.scratch, bench.reporter) as shop:
        for _ in range(REPETITIONS):
            for cell in cells:
                samples[cell.id].append(anew.seconds(shop, cell))
    return ratio_figures(samples[amd64.id], samples[arm64.id])


def unchanged(bench: Bench) -> tuple[Figure, ...]:
    """Time the sessions that have nothing to do for the default selection."""
    nox_seconds(bench, "build-matrix")
    return tuple(
        median(session, [nox_seconds(bench, session) for _ in range(QUICK_REPETITIONS)])
        for session in ("build-matrix", "plan")
    )


def all_unchanged(bench: Bench) -> tuple[Figure, ...]:
    """Time the main job that has nothing to do for any cell."""
    nox_seconds(bench, "build-matrix", "--all")
    samples = [nox_seconds(bench, "build-matrix", "--all") for _ in range(QUICK_REPETITIONS)]
    return (median("seconds", samples),)


def emulation(bench: Bench) -> tuple[Figure, ...]:
    """Time the plain Dockerfile under emulation, and our own build beside it."""
    (cell,) = _cells(bench, EMULATED)
    with anew.workshop(bench.project, (cell,), bench.scratch, bench.reporter) as shop:
        if shop.engine.native == EMULATED:
            raise BenchError(f"{EMULATED} is not emulated here", remedy="measure on linux/amd64")
        own = [anew.seconds(shop, cell) for _ in range(REPETITIONS)]
        with bench.reporter.step("plain Dockerfile") as step:
            baseline = emulated.prepare(shop, cell, bench.scratch / "baseline", step.note)
            step.note("builds")
            timed = emulated.time_build(baseline, shop.engine, bench.scratch / "baseline-layout")
    return emulation_figures(own, timed)


def rebuild(bench: Bench) -> tuple[Figure, ...]:
    """Make the images again, and count the bytes that differ from those that are kept."""
    figures = []
    for rebuilt in rebuilds.rebuild(bench.project, anew.image_cells(bench.project), bench.reporter):
        if rebuilt.difference is None:
            raise rebuilt.error or BenchError("was not compared", where=rebuilt.cell.id)
        figures.append(
            Figure(
                claim="bytes",
                subject=rebuilt.cell.id,
                value=rebuilt.difference.differing_bytes,
            )
        )
    return tuple(figures)


MEASUREMENTS: Mapping[str, Callable[[Bench], tuple[Figure, ...]]] = {
    "cold": cold.one_backend,
    "cold-default": cold.default,
    "cold-all": cold.everything,
    "ratio": ratio,
    "size": sizes.size,
    "wheel": wheel.wheel,
    "start": start.start,
    "single": single.single,
    "threads": threads.threads,
    "unchanged": unchanged,
    "all-unchanged": all_unchanged,
    "service-change": service_change.service_change,
    "emulation": emulation,
    "rebuild": rebuild,
    "publish": publish.publish,
    "attest": attest.attest,
}
"""What takes the measurements of `claims.BUILD`, by name."""


def ratio_figures(amd64: Sequence[float], arm64: Sequence[float]) -> tuple[Figure, ...]:
    """Return the medians of two platforms' builds, and their quotient."""
    ours = (median("amd64", amd64), median("arm64", arm64))
    return (*ours, Figure(claim="ratio", value=round(ours[1].value / ours[0].value, 3)))


def emulation_figures(own: Sequence[float], timed: Timed) -> tuple[Figure, ...]:
    """Return the figures of the comparison; a baseline that was cut off gives a lower bound."""
    ours = median("ours", own)
    bound: Bound = "exact" if timed.finished else "at least"
    return (
        ours,
        Figure(claim="emulated", value=round(timed.seconds, 2), bound=bound),
        Figure(claim="ratio", value=round(timed.seconds / ours.value, 2), bound=bound),
    )


def _cells(bench: Bench, *platforms: str) -> tuple[Cell, ...]:
    """Return the first cell of the default selection for each platform."""
    found: dict[str, Cell] = {}
    for cell in anew.image_cells(bench.project):
        found.setdefault(cell.platform, cell)
    missing = [platform for platform in platforms if platform not in found]
    if missing:
        raise BenchError(
            f"the default selection has no image for {', '.join(missing)}", where="matrix.yaml"
        )
    return tuple(found[platform] for platform in platforms)
