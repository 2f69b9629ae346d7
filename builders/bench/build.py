"""The measurements of `nox -s bench -- build`, each from the real program."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builders import engine, verdict
from builders import rebuild as rebuilds
from builders.bench import anew, emulated, single, sizes, start, threads, wheel
from builders.bench.bench import Bench, median, nox_seconds
from builders.bench.emulated import Timed
from builders.bench.record import Bound, Figure
from builders.errors import BenchError
from builders.plan import Cell
from builders.process import run
from builders.store import CACHE_VARIABLE

REPETITIONS = 3
QUICK_REPETITIONS = 5
EMULATED = "linux/arm64"
COLD_LIMIT = 3600.0

_COMMAND = re.compile(r"```sh\n(?P<command>[^\n]*-s build-matrix)\n```")


def cold(bench: Bench) -> tuple[Figure, ...]:
    """Time the README's main command for one backend, in a fresh clone with an empty cache."""
    main = main_command((bench.project.root / "README.md").read_text(encoding="utf-8"))
    command = f"{main} -- --backend {anew.BACKEND}"
    checkout, cache = bench.scratch / "checkout", bench.scratch / "cache"
    run(["git", "clone", "--quiet", "--no-hardlinks", bench.project.root, checkout], timeout=300)
    environment = bare_environment(os.environ, bench.scratch)
    with bench.reporter.step("cold") as step:
        step.note(command)
        try:
            begun = time.perf_counter()
            run(
                ["sh", "-c", command],
                cwd=checkout,
                env=environment,
                timeout=COLD_LIMIT,
                on_line=step.note,
            )
            seconds = time.perf_counter() - begun
        finally:
            engine.stop(cache)
    for cell in anew.image_cells(bench.project):
        if not verdict.read(checkout / "dist" / "verdicts" / f"{cell.id}.json").passed:
            raise BenchError("the cold run did not publish it", where=cell.id)
    return (Figure(claim="seconds", value=round(seconds, 1)),)


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
    """Time the sessions that have nothing to do."""
    nox_seconds(bench, "build-matrix")
    return tuple(
        median(session, [nox_seconds(bench, session) for _ in range(QUICK_REPETITIONS)])
        for session in ("build-matrix", "plan")
    )


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
    "cold": cold,
    "ratio": ratio,
    "size": sizes.size,
    "wheel": wheel.wheel,
    "start": start.start,
    "single": single.single,
    "threads": threads.threads,
    "unchanged": unchanged,
    "emulation": emulation,
    "rebuild": rebuild,
}
"""What takes the measurements of `claims.BUILD`, by name."""


def main_command(readme: str) -> str:
    """Return the command of the README that runs the main job.

    Raises:
        BenchError: There is none, or more than one.
    """
    found = [match["command"] for match in _COMMAND.finditer(readme)]
    if len(found) != 1:
        raise BenchError(
            f"holds {len(found)} one-line commands that end in `-s build-matrix`, not one",
            where="README.md",
        )
    return found[0]


def bare_environment(environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return an environment without this process's virtual environment, and with empty caches."""
    ours = str(Path(sys.executable).parent)
    left_out = {"VIRTUAL_ENV", "PYTHONPATH", "NOX_CURRENT_SESSION"}
    path = [entry for entry in environment.get("PATH", "").split(os.pathsep) if entry != ours]
    return {
        **{name: text for name, text in environment.items() if name not in left_out},
        "PATH": os.pathsep.join(path),
        CACHE_VARIABLE: str(scratch / "cache"),
        "XDG_CACHE_HOME": str(scratch / "user-cache"),
        "PIP_NO_CACHE_DIR": "1",
    }


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
