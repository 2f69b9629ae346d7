"""The command line: `python -m builders COMMAND`, one command per nox session."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn, Protocol, cast

from builders import process
from builders.errors import EquivecError

INTERRUPTED = 130
"""The exit status after Ctrl-C or SIGTERM: 128 + SIGINT, as shells have it."""

COMMANDS: Mapping[str, str] = {
    "build-matrix": "build, prove and publish the images of the selected cells",
    "build": "build the selected cells' images for other machines to prove",
    "merge": "put together and publish what several machines have proved",
    "plan": "print every cell of the matrix, the left-out ones with the reason",
    "preflight": "tell which cells, or packages on a platform, cannot exist, and why",
    "lock": "resolve the exact inputs anew and write the locks",
    "fetch": "fetch the files of models from a hub or directory, check and lock them",
    "model": "write a model's entry by reading and hashing it, or its directory",
    "smoke": "prove the selected cells' images again, without publishing them",
    "rebuild": "build selected cells or a published image from nothing, and compare bit for bit",
    "verify": "tell whether a published image is what is said of it, and who says so",
    "release": "put a version's tags on published images that have passed",
    "reference": "write this host's reference vectors, or compare another host's with them",
    "serve": "run the embedding service on this host, as the images run it",
    "keys": "make a key pair that signs what is found out about images",
    "engine": "show, start or stop the Docker engine that builds use",
    "clean": "bound what the cache holds, and tell what that freed",
    "bench": "measure, and write docs/benchmarks.md",
}


class Command(Protocol):
    """A module of builders/commands. Only the one that is asked for is imported."""

    EXAMPLES: Sequence[str]
    """The arguments of typical calls."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and return the exit status."""


def main(argv: Sequence[str]) -> int:
    """Run a command and return its exit status; failures are explained on standard error."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        names = argparse.ArgumentParser(
            prog="python -m builders",
            description="Build, prove and publish images of embedding services.",
            epilog="\n".join(f"{name:14}{text}" for name, text in COMMANDS.items()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        names.add_argument("command", choices=COMMANDS)
        name = names.parse_args(argv[:1]).command
        command = cast("Command", importlib.import_module(f"builders.commands.{_module(name)}"))
        return command.run(_parser(name, command).parse_args(argv[1:]))
    except EquivecError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (what people see)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: nothing half-done is left", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    finally:
        process.shut_down()


def _parser(name: str, command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    calls = (f"nox -s {name}{f' -- {example}' if example else ''}" for example in command.EXAMPLES)
    parser = argparse.ArgumentParser(
        prog=f"nox -s {name} --",
        description=command.__doc__,
        epilog="examples:\n" + "\n".join(f"  {call}" for call in calls),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return parser


def _module(name: str) -> str:
    return name.replace("-", "_")


def _interrupt(*_: object) -> NoReturn:
    """Turn SIGTERM into what Ctrl-C does, so that everything is cleaned up the same way."""
    raise KeyboardInterrupt
