"""Print every cell of the matrix, the left-out ones with the reason."""

from __future__ import annotations

import argparse
import os
import sys

from builders import host, model, preflight, project, selection
from builders import plan as plans
from builders.report import plan_table, terminal

EXAMPLES = ("", "--all", "--json --platform linux/arm64")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="a document for programs: docs/plan.md")


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
    else:
        plan_table.show(planned, terminal.console(sys.stdout, os.environ))
    return 0
