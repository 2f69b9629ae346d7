"""Build the selected cells' images for other machines to prove: nothing is tested or published.

Each becomes a parcel, `DIR/<cell>`: the image's layout, and what the proof has to know of it.
`nox -s build-matrix -- --layouts DIR` proves them. The exit status is 0 only when every image was
built.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from builders import host, model, outcome, project, report, selection, work
from builders import plan as plans
from builders.commands.arguments import add_jobs
from builders.errors import CellsFailedError
from builders.parcels import packing
from builders.stages import Options

EXAMPLES = ("--to dist/parcels", "--only 'onnxruntime-*' --to parcels --jobs 4")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    add_jobs(parser)
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the parcels go; made if need be",
    )


def run(arguments: argparse.Namespace) -> int:
    """Build and pack, and show what came out."""
    checkout = project.load()
    planned = packing.planned(
        checkout,
        plans.without(
            plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
            model.absent(checkout),
        ),
    )
    cells = plans.runnable(planned)
    options = Options(jobs=arguments.jobs, rebuild=False, reprove=False)
    with report.reporter([cell.id for cell in cells]) as reporter:
        done = work.do(checkout, cells, options, reporter, packing.job(arguments.to.absolute()))
        reporter.finish(outcome.rows(planned, done.outcomes))
    failed = any(each.error is not None for each in done.outcomes)
    return CellsFailedError.exit_code if failed else 0
