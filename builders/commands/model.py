"""Write the entry of a model in matrix.yaml by reading and hashing it.

`add` takes a repository of a hub at a commit, or a directory. Its sizes, pooling, prompts, length
and licence are read from its own files; pins are computed, or (of large files on a hub) taken as
the hub says, until `nox -s fetch` has confirmed them.
"""

from __future__ import annotations

import argparse
import sys

from builders import project
from builders.pretrained import description, entry
from builders.pretrained.hub import Hub
from builders.pretrained.place import place

EXAMPLES = (
    "add BAAI/bge-base-en-v1.5@a5beb1e3e68b9ab74eb54cfd186867f64f240e1a",
    "add ./my-model --name my-model --dry-run",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", choices=["add"], help="what to do")
    parser.add_argument("place", metavar="OWNER/NAME@COMMIT|DIRECTORY", help="where the model is")
    parser.add_argument("--name", help="its key in matrix.yaml; from its own name if left out")
    parser.add_argument(
        "--pooling", choices=["mean", "cls"], help="how it pools, where its files do not say"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the entry, and write nothing")


def run(arguments: argparse.Namespace) -> int:
    """Describe the model, and write its entry."""
    checkout = project.load()
    path = checkout.root / "matrix.yaml"
    found = place(arguments.place, root=checkout.root, hub=Hub(note=_note))
    described = description.describe(found, name=arguments.name, pooling=arguments.pooling)
    if not arguments.dry_run:
        entry.add(path, described)
    sys.stdout.write(entry.text(described))
    for note in described.notes:
        _note(note)
    if not arguments.dry_run:
        _note(f"written to {path.name}; next: `nox -s fetch -- --model {described.name}`")
    return 0


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
