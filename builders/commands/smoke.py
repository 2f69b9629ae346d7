"""Prove the selected cells' images again: audit, smoke tests and parity. Nothing is published."""

from __future__ import annotations

import argparse

from builders import host, model, outcome, pipeline, project, report, selection
from builders import plan as plans
from builders.commands.arguments import add_jobs
from builders.errors import CellsFailedError
from builders.stages import Options

EXAMPLES = ("", "--backend onnxruntime --platform linux/amd64")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    add_jobs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prove the images, built if need be, and show what came out."""
    checkout = project.load()
    planned = plans.without(
        plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        model.absent(checkout),
    )
    cells = plans.runnable(planned)
    options = Options(jobs=arguments.jobs, rebuild=False, reprove=True)
    with report.reporter([cell.id for cell in cells]) as reporter:
        finished = pipeline.run(checkout, cells, options, reporter)
        reporter.finish(outcome.rows(planned, finished.outcomes))
    return CellsFailedError.exit_code if finished.failed else 0
