"""Tell whether cells can exist at all, from the locks alone: nothing is fetched or built.

With --package, the same is told of any package: the package indexes are asked, and the wheel that
an installer would take is downloaded and opened. Without --platform, that is done for every Linux
platform of the matrix, and for this host.

The exit status is 13 when something is refused that matrix.yaml does not expect to be; otherwise 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from builders import host, matrix, package, preflight, project, report, selection
from builders import plan as plans
from builders.errors import PreflightError, SelectionError
from builders.matrix.spelling import suggestion
from builders.network import indexes
from builders.network.indexes import TARGETS
from builders.package import PackageAnswer
from builders.paths import ROOT
from builders.report import preflight_table, terminal
from builders.selection import Selection

EXAMPLES = (
    "",
    "--all --json",
    "--package gpt4all --platform linux/arm64",
    "--package gpt4all==2.8.2",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    selection.add_arguments(parser)
    parser.add_argument(
        "--package",
        metavar="NAME[==VERSION]",
        help="ask the package indexes about this package; of the selection, only --platform counts",
    )
    parser.add_argument(
        "--json", action="store_true", help="a document for programs: docs/preflight.md"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the answers; the exit status tells whether all is possible."""
    selected = selection.from_arguments(arguments)
    console = terminal.console(sys.stdout, os.environ)
    if arguments.package is None:
        planned = plans.plan(matrix.load(ROOT / "matrix.yaml"), selected, host.current())
        found = preflight.selected(ROOT / "images", planned)
        if arguments.json:
            sys.stdout.write(preflight_table.cells_json(found))
        else:
            preflight_table.show_cells(found, console)
        refused = [one.cell for one in found if one.status == "refused"]
        unexpected = any(not cell.refusal_expected for cell in refused)
        return PreflightError.exit_code if unexpected else 0
    answers = _package(arguments.package, selected)
    if arguments.json:
        sys.stdout.write(preflight_table.package_json(arguments.package, answers))
    else:
        preflight_table.show_package(arguments.package, answers, console)
    return 0 if all(answer.possible for answer in answers) else PreflightError.exit_code


def _package(text: str, selected: Selection) -> tuple[PackageAnswer, ...]:
    """Ask about a package for each platform."""
    requirement = package.parse(text)
    if selected.backends or selected.models or selected.only or selected.all:
        raise SelectionError(
            "a package is of no cell",
            where="--package",
            remedy="leave out --backend, --model, --only and --all",
        )
    checkout = project.load()
    platforms = package_platforms(selected.platforms, tuple(checkout.matrix.platforms))
    configured = indexes.configured(checkout.store.cache, find_links=checkout.matrix.find_links)
    # On standard error: standard output is for the answer.
    with report.reporter([], stream=sys.stderr) as reporter, reporter.step("package") as step:
        answers = []
        for platform in platforms:
            step.note(f"{requirement} on {platform}")
            answers.append(
                package.examine(checkout, configured, requirement, platform, progress=step.progress)
            )
        return tuple(answers)


def package_platforms(named: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return for which platforms to ask about a package.

    Args:
        named: With `--platform`.
        known: The matrix's.

    Raises:
        SelectionError: There is no such platform.
    """
    for name in named:
        if name not in TARGETS:
            raise SelectionError(
                f"{name!r} is not a platform{suggestion(name, TARGETS)}",
                where="--platform",
                remedy=f"there are: {', '.join(TARGETS)}",
            )
    linux = (name for name in known if name.startswith("linux/"))
    return tuple(named) or tuple(dict.fromkeys((*linux, host.current())))
