"""cosign, of either generation: the program, the environment it runs in, and what it does here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.errors import ToolError
from builders.process import Completed, run

PASSWORD_VARIABLE = "COSIGN_PASSWORD"  # noqa: S105 (the variable's name)
"""Holds the password of the private key; cosign itself reads it."""

SECONDS = 180.0
"""How long one signature or verification may take; without the network, it takes half a second."""

_PROBE = ("sign-blob", "--use-signing-config=false", "--help")


@dataclass(frozen=True, kw_only=True)
class Cosign:
    """A cosign that can be run.

    Attributes:
        program: Where it is.
        has_bundles: Whether it is 2.6 or newer. Those sign whole statements; and 3 makes sigstore
            bundles by way of services on the network, unless it is told not to.
    """

    program: Path
    has_bundles: bool


@functools.cache
def cosign(program: Path) -> Cosign:
    """Return a cosign, once it has been asked what it can do.

    Its options are probed: Debian's calls every version "devel".

    Raises:
        ToolError: It does not run.
    """
    answers = [
        run((program, *words), timeout=SECONDS, check=False).returncode == 0
        for words in (("sign-blob", "--help"), _PROBE)
    ]
    if not answers[0]:
        raise ToolError(
            "does not run, or is no cosign", where=str(program), remedy="install cosign 2 or 3"
        )
    return Cosign(program=program, has_bundles=answers[1])


def run_cosign(argv: tuple[str, ...], environment: Mapping[str, str]) -> Completed:
    """Run cosign, which shows no one its environment and asks nobody anything.

    Raises:
        ProcessError: It failed.
    """
    return run(argv, env=environment, timeout=SECONDS)


def without_password(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for what needs no private key."""
    return {name: value for name, value in environment.items() if name != PASSWORD_VARIABLE}
