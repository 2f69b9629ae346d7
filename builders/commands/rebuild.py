"""Build images from nothing, elsewhere, and compare them bit for bit.

Without REF: the images of the selected cells, with those that are kept. With REF, which is
HOST/NAME[:TAG][@DIGEST] in a registry or oci:DIRECTORY:NAME: the published image, from the inputs
that its provenance records.

The exit status is 0 only when every rebuilt image is identical to the other one.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builders import host, model, preflight, project, rebuild, report, selection
from builders import plan as plans
from builders.commands.trust import add_trust, named
from builders.errors import RebuildError, SelectionError
from builders.project import Project
from builders.rebuild import Rebuilt
from builders.verification import repetition
from builders.verification.reference import published
from builders.verification.trust import trusted

EXAMPLES = (
    "",
    "--platform linux/arm64",
    "oci:dist/images:onnxruntime-fixture-768 --platform linux/amd64",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("reference", nargs="?", metavar="REF", help="a published image")
    selection.add_arguments(parser)
    add_trust(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rebuild and compare, and show what differs."""
    checkout = project.load()
    if arguments.reference is None:
        results = _kept(checkout, arguments)
    else:
        results = _published(checkout, arguments)
    return RebuildError.exit_code if any(result.error for result in results) else 0


def _kept(checkout: Project, arguments: argparse.Namespace) -> Sequence[Rebuilt]:
    planned = plans.without(
        plans.plan(checkout.matrix, selection.from_arguments(arguments), host.current()),
        model.absent(checkout),
    )
    cells = plans.runnable(preflight.asked(checkout.images, planned))
    with report.reporter([cell.id for cell in cells]) as reporter:
        return rebuild.rebuild(checkout, cells, reporter)


def _published(checkout: Project, arguments: argparse.Namespace) -> Sequence[Rebuilt]:
    chosen = selection.from_arguments(arguments)
    if chosen.backends or chosen.models or chosen.only or chosen.all:
        raise SelectionError(
            "the reference says which image; of the selection, only --platform goes with it",
            where=arguments.reference,
        )
    with tempfile.TemporaryDirectory(prefix="equivec-rebuild-") as scratch:
        with report.reporter([]) as reporter, reporter.step("pull") as step:
            found = published(checkout, arguments.reference, "", step.note)
            if len(found) > 1:
                raise SelectionError("holds several images", where=arguments.reference)
            who = trusted(checkout, named(arguments), step.note)
            images = repetition.gather(found[0], who, chosen.platforms, Path(scratch))
        with report.reporter([image.name.id for image in images]) as reporter:
            return repetition.repeat(checkout, images, reporter)
