"""Put together what several machines have proved, and publish it: nothing is built or tested.

Each DIR holds what a machine wrote to `dist/` (attestations, verdicts, images), and may hold what
`nox -s build -- --to DIR` wrote; it is searched through. Every selected image must be there with a
verdict that passed, is signed by somebody whom `trust` in matrix.yaml names (where it names
anybody), and is of this very checkout. Otherwise nothing is published.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from builders import host, merge, outcome, preflight, project, publishing, report, selection
from builders import plan as plans
from builders.errors import CellsFailedError

EXAMPLES = ("machines/amd64/dist machines/arm64/dist", "artefacts --backend onnxruntime")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "directories", type=Path, nargs="+", metavar="DIR", help="what a machine has proved"
    )
    selection.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Merge and publish, and show what came out."""
    checkout = project.load()
    planned = merge.planned(
        preflight.asked(
            checkout.images,
            plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        )
    )
    cells = plans.runnable(planned)
    with report.reporter([cell.id for cell in cells]) as reporter:
        directories = [directory.absolute() for directory in arguments.directories]
        finished = merge.merge(checkout, cells, directories, reporter)
        finished = publishing.publish(checkout, finished, reporter)
        reporter.finish(outcome.rows(planned, finished.outcomes), "\n".join(finished.remarks))
    return CellsFailedError.exit_code if finished.failed else 0
