"""Put a version's tags on published images that have passed: nothing is built, or changed.

Every selected image must be releasable, at every publication of matrix.yaml, or nothing is tagged:
docs/release.md has the rules. The exit status is 31 when a release is refused, and with --dry-run
when it would be. The same release, repeated, finishes what was broken off.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from builders import host, project, selection, target
from builders import plan as plans
from builders.errors import ReleaseError, SelectionError
from builders.matrix.publication import DIRECTORY
from builders.project import Project
from builders.release import release, version, wanted
from builders.release.plan import ReleasePlan
from builders.report import github, release_table, terminal
from builders.target import Target

EXAMPLES = (
    "v1.2.3 --dry-run",
    "v1.2.3 --model bge-base-en-v1.5",
    "v1.2.3-rc.1 --backend onnxruntime --model bge-base-en-v1.5",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("version", metavar="VERSION", help="such as v1.2.3, or v1.2.3-rc.1")
    selection.add_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="show all of it, and put no tag anywhere"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show what is to be done, and do it unless something speaks against it."""
    asked = version.parse(arguments.version)
    selected = selection.from_arguments(arguments)
    if selected.platforms:
        raise SelectionError(
            "a tag is on an image's every platform",
            where="--platform",
            remedy="leave it out; release.platforms in matrix.yaml says which are required",
        )
    checkout = project.load()
    planned = plans.plan(
        checkout.matrix, wanted.selection(selected, checkout.matrix.release), host.current()
    )
    console = terminal.console(sys.stdout, os.environ)

    def note(text: str) -> None:
        console.print(f" {terminal.clean(text)}", soft_wrap=True)

    # Another release of this machine waits, and then sees what this one did.
    with checkout.store.exclusive("release"):
        targets = _targets(checkout, note)
        found = release.planned(checkout, targets, asked, planned, note=note)
        release_table.show(found, console)
        github.add_summary(os.environ, release_table.markdown(found))
        if not arguments.dry_run:
            release.put(found, targets, note=note)
    console.print(f" {_outcome(found, dry_run=arguments.dry_run)}\n")
    return ReleaseError.exit_code if found.refused else 0


def _targets(checkout: Project, note: Callable[[str], None]) -> tuple[Target, ...]:
    """Return the publications that matrix.yaml names.

    There always is a directory, which registries are filled from: it may be none of them.
    """
    registries = target.registries(checkout, note)
    named = any(place.startswith(DIRECTORY) for place in checkout.matrix.publication)
    return (target.directory(checkout), *registries) if named else registries


def _outcome(found: ReleasePlan, *, dry_run: bool) -> str:
    tags = f"{len(found.steps)} tags"
    if dry_run:
        return "would be refused" if found.refused else f"{tags} would be put, and none was"
    return (
        f"{found.version} is released: {tags} put"
        if found.steps
        else (f"{found.version} was released already: every tag is where it should be")
    )
