"""Build, prove and publish the images of the selected cells.

The exit status is 0 only when every selected cell that can run here has passed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from builders import (
    disk,
    host,
    model,
    outcome,
    pipeline,
    project,
    publishing,
    report,
    selection,
)
from builders import plan as plans
from builders.commands.arguments import add_jobs
from builders.errors import CellsFailedError
from builders.parcels import opening
from builders.project import Project
from builders.references import file, judgement
from builders.stages import Options

EXAMPLES = (
    "",
    "--platform linux/arm64 --model fixture-768",
    "--only 'onnxruntime-*' --jobs 4",
    "--all --fresh",
    "--only onnxruntime-fixture-768-linux-arm64 --layouts parcels",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    add_jobs(parser)
    parser.add_argument(
        "--fresh", action="store_true", help="build and prove again what is known to pass"
    )
    parser.add_argument(
        "--layouts",
        type=Path,
        metavar="DIR",
        help="prove the images that `nox -s build -- --to DIR` built, here or elsewhere, and build"
        " none",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="also hold what other hosts wrote (nox -s reference) against this one",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do all of it, and show what came out."""
    checkout = project.load()
    planned = plans.without(
        plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        model.absent(checkout),
    )
    cells = plans.runnable(planned)
    found = file.read(arguments.reference)
    # A Linux host's own vectors are the image's reference already, and no row.
    others = [cell for cell in judgement.cells(checkout, planned, found) if cell.kind == "host"]
    options = Options(
        jobs=arguments.jobs,
        rebuild=arguments.fresh,
        reprove=arguments.fresh,
        parcels=None if arguments.layouts is None else opening.find(arguments.layouts.absolute()),
    )
    with (
        disk.watched(checkout.store.cache) as usage,
        report.reporter([cell.id for cell in (*cells, *others)]) as reporter,
    ):
        finished = pipeline.run(checkout, cells, options, reporter)
        finished = publishing.publish(publisher(checkout, options), finished, reporter)
        judged = judgement.judged(checkout, others, found, reporter)
        usage.look()
        footer = "\n".join((*finished.remarks, str(usage)))
        rows = (judged.get(row.cell, row) for row in outcome.rows(planned, finished.outcomes))
        reporter.finish(tuple(rows), footer)
    failed = finished.failed or any(row.result == "failed" for row in judged.values())
    return CellsFailedError.exit_code if failed else 0


def publisher(checkout: Project, options: Options) -> Project:
    """Return where what passes goes: to no registry from a part of a run, which `merge` ends."""
    return checkout if options.parcels is None else checkout.without_registries
