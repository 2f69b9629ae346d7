"""What every measurement works with."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.bench.record import Figure
from builders.lock.debian import DebianLock
from builders.lock.wheels import WheelLock
from builders.network import download, indexes, locating
from builders.process import run
from builders.project import Project
from builders.report import Reporter

_SECONDS = 3 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What measurements work with.

    Attributes:
        project: What is measured.
        scratch: An empty directory, which is removed after the measurement.
        reporter: Told what goes on.
    """

    project: Project
    scratch: Path
    reporter: Reporter


def fetch(bench: Bench, *, debian: Iterable[DebianLock], wheels: Iterable[WheelLock]) -> None:
    """Bring what some locks name into the store.

    Raises:
        FetchError: Something cannot be downloaded, or is not what its lock says.
    """
    store = bench.project.store
    settings = indexes.configured(store.cache, find_links=bench.project.matrix.find_links)
    packages = [package for lock in debian for package in lock.packages]
    with bench.reporter.step("fetch") as step:
        items = (
            *locating.locate_packages(packages, store),
            *locating.locate_wheels(wheels, store, settings),
        )
        download.fetch(items, store, progress=step.progress, settings=settings.settings)


def nox_seconds(bench: Bench, session: str, *words: str) -> float:
    """Run a session as people do, with arguments; return how many seconds that took."""
    beside = Path(sys.executable).with_name("nox")
    nox = str(beside) if beside.exists() else "nox"
    begun = time.perf_counter()
    arguments = ("--", *words) if words else ()
    run([nox, "-s", session, *arguments], cwd=bench.project.root, timeout=_SECONDS)
    return time.perf_counter() - begun


def median(claim: str, samples: Sequence[float], *, subject: str = "", digits: int = 2) -> Figure:
    """Return the figure that is the median of single runs."""
    rounded = tuple(round(sample, digits) for sample in samples)
    return Figure(
        claim=claim,
        subject=subject,
        value=round(statistics.median(rounded), digits),
        samples=rounded,
    )
