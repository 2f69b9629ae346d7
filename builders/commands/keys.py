"""Make a key pair that signs attestations, and say where it is and what to commit.

The private key is encrypted with the password in COSIGN_PASSWORD, or one that is asked for. Nothing
is overwritten. docs/signing.md tells what signatures are for.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from builders import tools
from builders.errors import SigningError
from builders.paths import ROOT
from builders.signing import credential, keys
from builders.signing.cosign import PASSWORD_VARIABLE, cosign
from builders.store import cache_directory

EXAMPLES = ("", "--private ~/keys/equivec.key --public release.pub")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--private",
        type=Path,
        metavar="FILE",
        help=f"where the private key goes (default: {credential.KEY_VARIABLE}, or cosign.key in the"
        " user's configuration of equivec)",
    )
    parser.add_argument(
        "--public",
        type=Path,
        metavar="FILE",
        default=ROOT / "cosign.pub",
        help="where the public key goes (default: cosign.pub in the checkout)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make it, and say what to do with it."""
    environment = dict(os.environ)
    private = (
        arguments.private
        or credential.named_key(environment)
        or credential.default_key(environment, Path.home())
    )
    private, public = (path.expanduser().absolute() for path in (private, arguments.public))
    if PASSWORD_VARIABLE not in environment and sys.stdin.isatty():
        environment[PASSWORD_VARIABLE] = _password()
    program = cosign(tools.find("cosign", cache_directory(), note=_say))
    keys.make(program, private=private, public=public, checkout=ROOT, environment=environment)
    _say("\n".join(lines(private, public, environment)))
    return 0


def lines(private: Path, public: Path, environment: dict[str, str]) -> list[str]:
    """Return what people are told of a new pair."""
    found = private in (
        credential.named_key(environment),
        credential.default_key(environment, Path.home()),
    )
    name = public.relative_to(ROOT).as_posix() if public.is_relative_to(ROOT) else public.name
    return [
        f"private key  {private}",
        "             keep it and its password secret; builds that may sign need both:",
        *(() if found else (f"             export {credential.KEY_VARIABLE}={private}",)),
        f"             export {PASSWORD_VARIABLE}=…",
        f"public key   {public}",
        *(() if public.is_relative_to(ROOT) else ("             copy it into the checkout,",)),
        "             commit it, and say in matrix.yaml that it is trusted:",
        "             trust:",
        f"               keys: [{name}]",
    ]


def _password() -> str:
    first, second = (getpass.getpass(f"{word}: ") for word in ("password", "the same again"))
    if first != second:
        raise SigningError("the two passwords differ", remedy="try again")
    return first


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
