"""Arguments that say who is trusted."""

from __future__ import annotations

import argparse

from builders.errors import SelectionError
from builders.verification import Named


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Declare `--key`, `--issuer` and `--identity`."""
    group = parser.add_argument_group(
        "trust", "Without any of these: whom `trust` in matrix.yaml names."
    )
    group.add_argument(
        "--key", action="append", default=[], metavar="FILE", help="a public key; may be repeated"
    )
    group.add_argument("--issuer", metavar="URL", help="who vouches for the identity")
    group.add_argument(
        "--identity", metavar="SUBJECT", help="who signs without a key: exactly, or ^a regexp$"
    )


def named(arguments: argparse.Namespace) -> Named:
    """Return who is named.

    Raises:
        SelectionError: Of issuer and identity, one is missing.
    """
    if bool(arguments.issuer) != bool(arguments.identity):
        raise SelectionError(
            "one says nothing without the other",
            where="--issuer, --identity",
            remedy="give both, or neither",
        )
    identities = ((arguments.issuer, arguments.identity),) if arguments.issuer else ()
    return Named(keys=tuple(arguments.key), identities=identities)
