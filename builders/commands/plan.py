"""Print every cell of the matrix, the left-out ones with the reason."""

from __future__ import annotations

import argparse
import os
import sys

from builders import host, matrix, preflight, selection
from builders import plan as plans
from builders.paths import ROOT
from builders.report import plan_table, terminal

EXAMPLES = ("", "--all", "--json --platform linux/arm64")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="a document for programs: docs/plan.md")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    planned = preflight.asked(
        ROOT / "images",
        plans.plan(
            matrix.load(ROOT / "matrix.yaml"), selection.from_arguments(arguments), host.current()
        ),
    )
    if arguments.json:
        sys.stdout.write(plans.to_json(planned))
    else:
        plan_table.show(planned, terminal.console(sys.stdout, os.environ))
    return 0
