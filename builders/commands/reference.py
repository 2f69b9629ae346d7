"""Write this host's reference vectors to a file, or hold another host's against this one's.

A host without containers proves its cells so: the vectors that it makes travel in a file.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from builders import host, model, project, report, selection
from builders import plan as plans
from builders.errors import CellsFailedError
from builders.plan import Plan
from builders.project import Project
from builders.references import file, judgement
from builders.references import host as hosts
from builders.references.file import Reference

EXAMPLES = (
    "--export dist/references/darwin-arm64.json",
    "--reference dist/references/darwin-arm64.json",
    "--only onnxruntime-fixture-768-darwin-arm64 --export mac.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--export", type=Path, metavar="FILE", help="write what this host returns for the corpus"
    )
    what.add_argument(
        "--reference",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="compare what other hosts wrote with what this one returns",
    )
    selection.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write or compare."""
    checkout = project.load()
    planned = plans.without(
        plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        model.absent(checkout),
    )
    if arguments.export is not None:
        return _export(checkout, planned, arguments.export)
    return _compare(checkout, planned, file.read(arguments.reference))


def _export(checkout: Project, planned: Plan, path: Path) -> int:
    wanted = hosts.cells(checkout, planned)
    with report.reporter([cell.id for cell in wanted]) as reporter:
        tools = hosts.toolchain(checkout, wanted, reporter)
        made = []
        for cell in wanted:
            reporter.stage(cell.id, "reference")
            made.append(hosts.make(checkout, cell, tools, reporter))
            reporter.passed(cell.id, host.processor())
    file.write(path, made)
    return 0


def _compare(checkout: Project, planned: Plan, found: Mapping[str, Reference]) -> int:
    wanted = judgement.cells(checkout, planned, found)
    with report.reporter([cell.id for cell in wanted]) as reporter:
        judged = judgement.judged(checkout, wanted, found, reporter)
        reporter.finish(judgement.rows(planned, judged))
    failed = any(row.result == "failed" for row in judged.values())
    return CellsFailedError.exit_code if failed else 0
