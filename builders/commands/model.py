"""Write a model's entry in matrix.yaml, or its directory for a container to serve.

`add` takes a repository of a hub at a commit, or a directory. Its sizes, pooling, prompts, length
and licence are read from its own files; pins are computed, or (of large files on a hub) taken as
the hub says, until `nox -s fetch` has confirmed them.

`hand` writes what is mounted as EMBEDDING_MODEL_DIR: all files of a model in a format, or with
--slim only those that the service cannot fetch by itself (EMBEDDING_ALLOW_FETCH).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from builders import handed_model, project
from builders.errors import SelectionError
from builders.matrix import Format, Model
from builders.matrix.spelling import suggestion
from builders.pretrained import description, entry
from builders.pretrained.hub import Hub
from builders.pretrained.place import place

EXAMPLES = (
    "add BAAI/bge-base-en-v1.5@a5beb1e3e68b9ab74eb54cfd186867f64f240e1a",
    "add ./my-model --name my-model --dry-run",
    "hand fixture-768 --format onnx --to ./fixture-768",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|hand")
    add = actions.add_parser("add", help="write a model's entry by reading and hashing it")
    add.add_argument("place", metavar="OWNER/NAME@COMMIT|DIRECTORY", help="where the model is")
    add.add_argument("--name", help="its key in matrix.yaml; from its own name if left out")
    add.add_argument(
        "--pooling", choices=["mean", "cls"], help="how it pools, where its files do not say"
    )
    add.add_argument("--dry-run", action="store_true", help="print the entry, and write nothing")
    hand = actions.add_parser("hand", help="write a model's directory for a container to serve")
    hand.add_argument("model", metavar="NAME", help="its key in matrix.yaml")
    hand.add_argument("--to", type=Path, required=True, metavar="DIRECTORY", help="a new directory")
    hand.add_argument("--format", help="one of its formats; the first of its entry if left out")
    hand.add_argument(
        "--slim", action="store_true", help="leave out what the service can fetch from a hub"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked."""
    return _add(arguments) if arguments.action == "add" else _hand(arguments)


def _add(arguments: argparse.Namespace) -> int:
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


def _hand(arguments: argparse.Namespace) -> int:
    """Write a model's directory."""
    checkout = project.load()
    name = arguments.model
    models = checkout.matrix.models
    if name not in models:
        raise SelectionError(
            f"there is no model {name!r}{suggestion(name, models)}", where="matrix.yaml"
        )
    form = _format(models[name], arguments.format)
    without = handed_model.fetchable(checkout, name, form) if arguments.slim else ()
    handed = handed_model.hand(checkout, name, form, arguments.to, without=without)
    _note(f"{arguments.to}: {', '.join(handed.files)}")
    if handed.left_out:
        _note(f"fetched by the service at its first start: {', '.join(handed.left_out)}")
    return 0


def _format(found: Model, word: str | None) -> Format:
    """Return the format that is asked for."""
    if word is None:
        return found.formats[0]
    for form in found.formats:
        if form == word:
            return form
    raise SelectionError(
        f"the model has no format {word!r}{suggestion(word, found.formats)}",
        where="--format",
        remedy=f"choose from {', '.join(found.formats)}",
    )


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
