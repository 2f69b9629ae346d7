"""Fetch the files of models from a hub (or a local directory), check them, and lock them.

The first fetch of a model confirms the pins of matrix.yaml, and writes images/models/NAME.json.
Builds never touch the network for a model: after this, they need none. HF_TOKEN, HF_ENDPOINT (a
mirror) and HF_HOME count, as they do for huggingface_hub, whose cache is shared.
"""

from __future__ import annotations

import argparse
import os
import sys

from builders import project, report
from builders.errors import SelectionError
from builders.matrix.spelling import suggestion
from builders.pretrained import fetching
from builders.pretrained.fetching import Fetched
from builders.pretrained.hub import Hub

EXAMPLES = ("--model bge-base-en-v1.5",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="NAME",
        help="a model of matrix.yaml whose source is hub: or file:; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Fetch each model, and say what was pinned."""
    checkout = project.load()
    models = checkout.matrix.models
    for name in arguments.model:
        if name not in models:
            raise SelectionError(
                f"{name!r} is not in matrix.yaml{suggestion(name, models)}",
                where="--model",
                remedy=f"there are: {', '.join(models)}",
            )
    with report.reporter([]) as reporter:
        for name in arguments.model:
            with reporter.step(f"fetch {name}") as step:
                fetched = fetching.fetch(
                    checkout,
                    name,
                    Hub(note=step.note),
                    progress=step.progress,
                    note=step.note,
                )
            sys.stdout.writelines(f"{line}\n" for line in said(name, fetched))
    return 0


def said(name: str, fetched: Fetched) -> tuple[str, ...]:
    """Return what to tell of a fetched model."""
    if fetched.written is None:
        return (f"{name}: every file is what its lock says",)
    written = os.path.relpath(fetched.written)
    return (
        f"{name}: pins confirmed; {written} written: commit it",
        *(
            f"  {path}: pinned there for the first time: sha256 {fetched.lock.sources[path].sha256}"
            for path in fetched.completed
        ),
    )
