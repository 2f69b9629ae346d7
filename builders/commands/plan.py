"""Print every cell of the matrix, the left-out ones with the reason."""

from __future__ import annotations

import argparse
import os
import sys

from builders import host, jobs, model, preflight, project, selection
from builders import plan as plans
from builders.report import plan_table, terminal

EXAMPLES = ("", "--all", "--json --platform linux/arm64", "--github")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a document for programs: docs/plan.md")
    form.add_argument(
        "--github", action="store_true", help="its jobs, as outputs of a step: docs/ci.md"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    checkout = project.load()
    planned = plans.without(
        plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        model.absent(checkout),
    )
    planned = preflight.asked(checkout.images, planned)
    if arguments.json:
        sys.stdout.write(plans.to_json(planned))
    elif arguments.github:
        sys.stdout.write(jobs.to_lines(jobs.jobs(planned, checkout.matrix)))
    else:
        plan_table.show(planned, terminal.console(sys.stdout, os.environ))
    return 0
