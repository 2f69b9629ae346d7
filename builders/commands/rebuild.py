"""Build the selected cells' images from nothing, elsewhere, and compare them bit for bit.

The exit status is 0 only when every rebuilt image is identical to the one that is kept.
"""

from __future__ import annotations

import argparse

from builders import host, model, preflight, project, rebuild, report, selection
from builders import plan as plans
from builders.errors import RebuildError

EXAMPLES = ("", "--platform linux/arm64")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rebuild and compare, and show what differs."""
    checkout = project.load()
    planned = plans.without(
        plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        model.absent(checkout),
    )
    cells = plans.runnable(preflight.asked(checkout.images, planned))
    with report.reporter([cell.id for cell in cells]) as reporter:
        results = rebuild.rebuild(checkout, cells, reporter)
    return RebuildError.exit_code if any(result.error for result in results) else 0
