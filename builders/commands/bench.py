"""Measure what is claimed, and write docs/benchmarks.md.

Results are kept in docs/benchmarks.json, from which the page is made: what is not measured anew
stays as it was. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from builders import host, project
from builders.bench import build, claims, page, record
from builders.bench.bench import Bench
from builders.bench.record import Figure, Machine, Measured, Suite
from builders.bench.serve import measurements
from builders.errors import SelectionError
from builders.files import write_atomically
from builders.matrix.spelling import suggestion
from builders.network.mirrors import os_release
from builders.process import run as run_process
from builders.report.lines import LineReporter
from builders.report.terminal import console

EXAMPLES = ("build", "build --only cold,ratio", "serve --only soak")

MEASUREMENTS: Mapping[Suite, Mapping[str, Callable[[Bench], tuple[Figure, ...]]]] = {
    "build": build.MEASUREMENTS,
    "serve": measurements.MEASUREMENTS,
}
"""What takes the measurements of `claims.SUITES`, by name."""

_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("suite", choices=tuple(MEASUREMENTS), help="what to measure")
    names = "; ".join(f"{suite}: {', '.join(known)}" for suite, known in MEASUREMENTS.items())
    parser.add_argument(
        "--only",
        default="",
        metavar="NAME,…",
        help=f"these measurements (default: all of the suite's). {names}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, and write the record and the page after each measurement."""
    suite: Suite = arguments.suite
    chosen = selected(arguments.only, suite) if arguments.only else tuple(MEASUREMENTS[suite])
    checkout = project.load()
    documents = checkout.root / "docs"
    results = documents / "benchmarks.json"
    record.read(results)
    for name in chosen:
        _say(f"{name}:")
        measured = _measure(checkout, suite, name)
        # Read again: another measurement may have been written meanwhile.
        newest = record.read(results).including(suite, measured)
        record.write(newest, results)
        text = page.page(newest, claims.SUITES)
        write_atomically(documents / "benchmarks.md", text.encode())
        for line in page.lines(measured, claims.SUITES[suite]):
            _say(f"  {line}")
    return 0


def selected(text: str, suite: Suite) -> tuple[str, ...]:
    """Return the names of a suite's measurements that a text lists, each once.

    Raises:
        SelectionError: One of them is not known.
    """
    known = MEASUREMENTS[suite]
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names or ("",):
        if name not in known:
            raise SelectionError(
                f"{name!r} is no measurement{suggestion(name, known)}",
                where="--only",
                remedy=f"there are: {', '.join(known)}",
            )
    return names


def _measure(checkout: project.Project, suite: Suite, name: str) -> Measured:
    machine = _machine()
    taken = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory(prefix="equivec-bench-") as scratch:
        # Lines, on a terminal too: drawing takes time from what is measured.
        screen = console(sys.stdout, os.environ)
        with LineReporter([], console=screen, environment={}, clock=time.monotonic) as reporter:
            bench = Bench(project=checkout, scratch=Path(scratch), reporter=reporter)
            figures = MEASUREMENTS[suite][name](bench)
    return Measured(
        measurement=name,
        command=f"nox -s bench -- {suite} --only {name}",
        taken=taken,
        revision=_revision(checkout.root),
        machine=machine,
        figures=figures,
    )


def _machine() -> Machine:
    system = f"{platform.system()} {platform.release()}"
    return Machine(
        platform=host.current(),
        system=os_release().get("PRETTY_NAME", system) if sys.platform == "linux" else system,
        cpu=host.processor(),
        cores=os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 2),
    )


def _revision(root: Path) -> str:
    """Return git's revision of a checkout, and whether it has changes beside the benchmarks'."""
    revision = run_process(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=root, timeout=_SECONDS
    ).stdout.strip()
    changes = run_process(
        ["git", "status", "--porcelain", "--", ".", ":!docs/benchmarks.*"],
        cwd=root,
        timeout=_SECONDS,
    ).stdout
    return f"{revision}+changes" if changes.strip() else revision


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
