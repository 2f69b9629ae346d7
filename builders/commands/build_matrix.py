"""Build, prove and publish the images of the selected cells.

The exit status is 0 only when every selected cell that can run here has passed.
"""

from __future__ import annotations

import argparse

from builders import disk, host, model, outcome, pipeline, project, report, selection
from builders import plan as plans
from builders.commands.arguments import add_jobs
from builders.errors import CellsFailedError
from builders.stages import Options

EXAMPLES = (
    "",
    "--platform linux/arm64 --model fixture-768",
    "--only 'onnxruntime-*' --jobs 4",
    "--all --fresh",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    add_jobs(parser)
    parser.add_argument(
        "--fresh", action="store_true", help="build and prove again what is known to pass"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do all of it, and show what came out."""
    checkout = project.load()
    planned = plans.without(
        plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        model.absent(checkout),
    )
    cells = plans.runnable(planned)
    options = Options(jobs=arguments.jobs, rebuild=arguments.fresh, reprove=arguments.fresh)
    with (
        disk.watched(checkout.store.cache) as usage,
        report.reporter([cell.id for cell in cells]) as reporter,
    ):
        finished = pipeline.run(checkout, cells, options, reporter)
        finished = pipeline.publish(checkout, finished, reporter)
        usage.look()
        reporter.finish(outcome.rows(planned, finished.outcomes), str(usage))
    return CellsFailedError.exit_code if finished.failed else 0
