"""Tell whether a published image is what is said of it, and who says so.

The image is pulled by its digest; every byte of it, every signature and every statement about it
is checked, and the statements are held against the image's own files and against each other.
Nothing is run, and no engine is needed. REF is HOST/NAME[:TAG][@DIGEST] in a registry, or
oci:DIRECTORY[:NAME].

The exit status is 0 only if nothing is wrong. Where matrix.yaml or the options name who is trusted,
what is not signed by them is wrong; where nobody is named, it is called unsigned.
"""

from __future__ import annotations

import argparse
import os
import sys

from builders import project, verification
from builders.commands.trust import add_trust, named
from builders.errors import VerifyError
from builders.report import terminal
from builders.verification import page

EXAMPLES = (
    "oci:dist/images",
    "oci:dist/images:onnxruntime-fixture-768 --key cosign.pub",
    "registry.example/equivec/onnxruntime-fixture-768:1.2",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("reference", metavar="REF", help="the image, or all of a directory")
    add_trust(parser)
    parser.add_argument(
        "--name",
        default="",
        metavar="NAME",
        help="what the image is called in its verdict, where it was published under another name",
    )


def run(arguments: argparse.Namespace) -> int:
    """Verify, and show what came out."""
    checkout = project.load()
    console = terminal.console(sys.stdout, os.environ)
    errors = terminal.console(sys.stderr, os.environ)
    reports = verification.verify(
        checkout,
        arguments.reference,
        named(arguments),
        name=arguments.name,
        note=lambda text: errors.print(terminal.clean(text), style="dim", soft_wrap=True),
    )
    wrong = False
    for number, report in enumerate(reports):
        if number:
            console.print()
        page.show(report, console)
        wrong |= report.wrong
    return VerifyError.exit_code if wrong else 0
