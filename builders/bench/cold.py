"""From a bare machine to published images: the README's command in a fresh clone."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from builders import engine, verdict
from builders.bench import anew
from builders.bench.bench import Bench
from builders.bench.record import Figure
from builders.errors import BenchError
from builders.process import run
from builders.store import CACHE_VARIABLE

LIMIT_SECONDS = 2 * 3600.0

_COMMAND = re.compile(r"```sh\n(?P<command>[^\n]*-s build-matrix)\n```")


def one_backend(bench: Bench) -> tuple[Figure, ...]:
    """Time the default selection of one backend, for which nothing has to be compiled."""
    return _timed(bench, ("--backend", anew.BACKEND))


def default(bench: Bench) -> tuple[Figure, ...]:
    """Time the default selection."""
    return _timed(bench, ())


def everything(bench: Bench) -> tuple[Figure, ...]:
    """Time every cell that runs here."""
    return _timed(bench, ("--all",))


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


def published(verdicts: Path) -> int:
    """Return how many images passed.

    Raises:
        BenchError: One did not, or there is none.
    """
    found = [verdict.read(path) for path in sorted(verdicts.glob("*.json"))]
    failed = [each.cell for each in found if not each.passed]
    if failed or not found:
        raise BenchError(
            "the cold run did not publish every image", where=", ".join(failed) or str(verdicts)
        )
    return len(found)


def _timed(bench: Bench, words: tuple[str, ...]) -> tuple[Figure, ...]:
    """Run the command with further arguments, and say how many images came of it."""
    main = main_command((bench.project.root / "README.md").read_text(encoding="utf-8"))
    command = " ".join((main, *(("--", *words) if words else ())))
    checkout, cache = bench.scratch / "checkout", bench.scratch / "cache"
    run(["git", "clone", "--quiet", "--no-hardlinks", bench.project.root, checkout], timeout=300)
    environment = bare_environment(os.environ, bench.scratch)
    with bench.reporter.step("cold") as step:
        step.note(command)
        try:
            begun = time.perf_counter()
            run(
                # What a run reports goes to standard output; what is shown here is the other.
                ["sh", "-c", f"exec >&2; {command}"],
                cwd=checkout,
                env=environment,
                timeout=LIMIT_SECONDS,
                on_line=step.note,
            )
            seconds = time.perf_counter() - begun
        finally:
            engine.stop(cache)
    images = published(checkout / "dist" / "verdicts")
    return (Figure(claim="seconds", subject=f"{images} images", value=round(seconds, 1)),)
