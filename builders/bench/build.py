"""The measurements of `nox -s bench -- build`, each from the real program."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders import engine, verdict
from builders.bench import anew, emulated
from builders.bench.anew import Note
from builders.bench.record import Figure
from builders.engine import Engine
from builders.errors import BenchError
from builders.formats import oci
from builders.formats.layout import Layout, blob_path
from builders.plan import Cell
from builders.process import run
from builders.project import Project
from builders.store import CACHE_VARIABLE
from builders.verdict import Verdict

REPETITIONS = 3
QUICK_REPETITIONS = 5
EMULATED = "linux/arm64"
COLD_LIMIT = 3600.0
QUICK_LIMIT = 1800.0

_COMMAND = re.compile(r"```sh\n(?P<command>[^\n]*-s build-matrix)\n```")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What measurements work with.

    Attributes:
        project: What is measured.
        scratch: An empty directory, which is removed after the measurement.
        note: Told what goes on.
    """

    project: Project
    scratch: Path
    note: Note


def cold(bench: Bench) -> tuple[Figure, ...]:
    """Time the README's main command in a fresh clone with an empty cache."""
    command = main_command((bench.project.root / "README.md").read_text(encoding="utf-8"))
    checkout, cache = bench.scratch / "checkout", bench.scratch / "cache"
    run(["git", "clone", "--quiet", "--no-hardlinks", bench.project.root, checkout], timeout=300)
    environment = bare_environment(os.environ, bench.scratch)
    bench.note(command)
    try:
        begun = time.perf_counter()
        run(["sh", "-c", command], cwd=checkout, env=environment, timeout=COLD_LIMIT)
        seconds = time.perf_counter() - begun
    finally:
        engine.stop(cache)
    for cell in anew.image_cells(bench.project):
        if not verdict.read(checkout / "dist" / "verdicts" / f"{cell.id}.json").passed:
            raise BenchError("the cold run did not publish it", where=cell.id)
    return (Figure(claim="seconds", value=round(seconds, 1)),)


def ratio(bench: Bench) -> tuple[Figure, ...]:
    """Time builds of both platforms, alternating."""
    samples: dict[str, list[float]] = {"linux/amd64": [], "linux/arm64": []}
    cells = {cell.platform: cell for cell in anew.image_cells(bench.project)}
    _require(cells, samples)
    with anew.fresh_engine(bench.project, bench.scratch, bench.note) as used:
        anew.fetch(bench.project, tuple(cells[platform] for platform in samples), used.native)
        for repetition in range(REPETITIONS):
            for platform, seconds in samples.items():
                seconds.append(_time_own(bench, cells[platform], used, repetition))
    amd64, arm64 = (_medians(name.partition("/")[2], found) for name, found in samples.items())
    return (amd64, arm64, Figure(claim="ratio", value=round(arm64.value / amd64.value, 3)))


def size(bench: Bench) -> tuple[Figure, ...]:
    """Read the images' sizes from their verdicts."""
    _nox(bench, "build-matrix")
    return tuple(
        Figure(
            claim="megabytes",
            subject=cell.id,
            value=_kept(bench, cell.id).subject.compressed_bytes_without_model / 10**6,
        )
        for cell in anew.image_cells(bench.project)
    )


def unchanged(bench: Bench) -> tuple[Figure, ...]:
    """Time the sessions that have nothing to do."""
    _nox(bench, "build-matrix")
    return tuple(
        _medians(session, [_nox(bench, session) for _ in range(QUICK_REPETITIONS)])
        for session in ("build-matrix", "plan")
    )


def emulation(bench: Bench) -> tuple[Figure, ...]:
    """Time the plain Dockerfile under emulation, and our own build beside it."""
    cells = {cell.platform: cell for cell in anew.image_cells(bench.project)}
    _require(cells, (EMULATED,))
    cell = cells[EMULATED]
    with anew.fresh_engine(bench.project, bench.scratch, bench.note) as used:
        if used.native == EMULATED:
            raise BenchError(f"{EMULATED} is not emulated here", remedy="measure on linux/amd64")
        anew.fetch(bench.project, (cell,), used.native)
        own = [_time_own(bench, cell, used, repetition) for repetition in range(REPETITIONS)]
        baseline = emulated.prepare(bench.project, cell, bench.scratch / "baseline", bench.note)
        bench.note("the plain Dockerfile")
        timed = emulated.time_build(baseline, used, bench.scratch / "baseline.tar")
        bench.note(f"the plain Dockerfile: {timed.seconds:.1f} s")
    return emulation_figures(own, timed)


def rebuild(bench: Bench) -> tuple[Figure, ...]:
    """Make the published images again and count the bytes that differ."""
    _nox(bench, "build-matrix")
    cells = anew.image_cells(bench.project)
    figures = []
    with anew.fresh_engine(bench.project, bench.scratch, bench.note) as used:
        anew.fetch(bench.project, cells, used.native)
        for cell in cells:
            bench.note(f"{cell.id} once more")
            directory = bench.scratch / "once-more" / cell.id
            made = anew.make(bench.project, cell, used, directory, bench.project.matrix.epoch)
            published = _kept(bench, cell.id).subject.digest
            differing = differing_bytes(made.layout, bench.project.publication, published)
            figures.append(Figure(claim="bytes", subject=cell.id, value=differing))
    return tuple(figures)


MEASUREMENTS: Mapping[str, Callable[[Bench], tuple[Figure, ...]]] = {
    "cold": cold,
    "ratio": ratio,
    "size": size,
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
    """Return an environment without what this process's virtual environment and caches put there."""
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


def emulation_figures(own: Sequence[float], timed: emulated.Timed) -> tuple[Figure, ...]:
    """Return the figures of the comparison; a baseline that was cut off gives a lower bound."""
    ours = _medians("ours", own)
    seconds = Figure(
        claim="emulated",
        value=round(timed.seconds, 2),
        bound="exact" if timed.finished else "at least",
    )
    quotient = round(seconds.value / ours.value, 2)
    return (ours, seconds, Figure(claim="ratio", value=quotient, bound=seconds.bound))


def differing_bytes(made: Layout, publication: Path, published: str) -> int:
    """Return the bytes of an image's blobs that the published image does not have, and vice versa.

    Args:
        made: The image that was made once more.
        publication: The layout that holds what was published.
        published: The digest of the manifest there.
    """
    found = _blobs(made.directory, made.manifest_digest)
    expected = _blobs(publication, published)
    return sum({**found, **expected}[digest] for digest in found.keys() ^ expected.keys())


def _blobs(directory: Path, manifest: str) -> dict[str, int]:
    """Return the sizes of an image's blobs, the manifest's own among them, by digest."""
    content = blob_path(directory, manifest).read_bytes()
    document = oci.Manifest.model_validate_json(content)
    parts = {part.digest: part.size for part in (document.config, *document.layers)}
    return {manifest: len(content), **parts}


def _time_own(bench: Bench, cell: Cell, used: Engine, repetition: int) -> float:
    """Time a build of which no byte was built before: each bears an epoch of its own."""
    directory = bench.scratch / f"own-{repetition}-{cell.id}"
    made = anew.make(bench.project, cell, used, directory, int(time.time()))
    shutil.rmtree(directory)
    bench.note(f"{cell.id}: {made.seconds:.1f} s")
    return made.seconds


def _nox(bench: Bench, session: str) -> float:
    """Run a session as people do, and return how many seconds that took."""
    beside = Path(sys.executable).with_name("nox")
    nox = str(beside) if beside.exists() else "nox"
    begun = time.perf_counter()
    run([nox, "-s", session], cwd=bench.project.root, timeout=QUICK_LIMIT)
    seconds = time.perf_counter() - begun
    bench.note(f"nox -s {session}: {seconds:.2f} s")
    return seconds


def _kept(bench: Bench, cell: str) -> Verdict:
    return verdict.read(bench.project.verdicts / f"{cell}.json")


def _require(cells: Iterable[str], wanted: Iterable[str]) -> None:
    missing = sorted(set(wanted) - set(cells))
    if missing:
        raise BenchError(
            f"no cell of the default selection is for {', '.join(missing)}", where="matrix.yaml"
        )


def _medians(claim: str, samples: Sequence[float]) -> Figure:
    rounded = tuple(round(sample, 2) for sample in samples)
    return Figure(claim=claim, value=statistics.median(rounded), samples=rounded)
