"""The command line: one command per nox session."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from builders import commands, process, selection
from builders.errors import EquivecError

INTERRUPTED = 130
"""The exit status after Ctrl-C or SIGTERM: 128 + SIGINT, as shells have it."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: what it says of itself, its arguments, and what it does."""

    name: str
    help: str
    examples: tuple[str, ...]
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str]) -> int:
    """Run a command and return its exit status; failures are explained on standard error."""
    signal.signal(signal.SIGTERM, _interrupt)
    arguments = parser().parse_args(argv)
    command: Command = arguments.command
    try:
        return command.run(arguments)
    except EquivecError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (what the user sees)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: nothing half-done is left", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    finally:
        process.end_all()


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="equivec", description="Build, prove and publish images.")
    names = top.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        examples = "\n".join(f"  nox -s {command.name}{example}" for example in command.examples)
        child = names.add_parser(
            command.name,
            prog=f"nox -s {command.name} --",
            help=command.help,
            description=command.help,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.arguments(child)
        child.set_defaults(command=command)
    return top


def _interrupt(*_: object) -> NoReturn:
    """Turn SIGTERM into what Ctrl-C does, so that everything is cleaned up the same way."""
    raise KeyboardInterrupt


def _cells(child: argparse.ArgumentParser) -> None:
    selection.add_arguments(child)


def _jobs(child: argparse.ArgumentParser) -> None:
    child.add_argument(
        "--jobs",
        type=_positive,
        default=2,
        metavar="N",
        help="cells that are worked on at the same time (default: 2)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _build_matrix(child: argparse.ArgumentParser) -> None:
    _cells(child)
    _jobs(child)
    child.add_argument(
        "--fresh", action="store_true", help="build and prove again what is known to pass"
    )


def _plan(child: argparse.ArgumentParser) -> None:
    _cells(child)
    child.add_argument("--json", action="store_true", help="a document for programs: docs/plan.md")


def _smoke(child: argparse.ArgumentParser) -> None:
    _cells(child)
    _jobs(child)


def _serve(child: argparse.ArgumentParser) -> None:
    child.add_argument("--backend", default="onnxruntime", metavar="NAME", help="which library")
    child.add_argument("--model", default="fixture-768", metavar="NAME", help="which model")
    child.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen")
    child.add_argument("--port", type=_port, default=8080, metavar="N", help="where to listen")


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:  # noqa: PLR2004 (the range of TCP ports)
        raise argparse.ArgumentTypeError("must be between 1 and 65535")
    return number


def _engine(child: argparse.ArgumentParser) -> None:
    child.add_argument(
        "action",
        choices=("status", "start", "stop"),
        nargs="?",
        default="status",
        help="what to do (default: status)",
    )


def _lock(child: argparse.ArgumentParser) -> None:
    child.set_defaults()


def _bench(child: argparse.ArgumentParser) -> None:
    child.add_argument("suite", choices=("build",), help="what to measure")


COMMANDS = (
    Command(
        name="build-matrix",
        help="Build, prove and publish the images of the selected cells.",
        examples=(
            "",
            " -- --platform linux/arm64 --model fixture-768",
            " -- --only 'onnxruntime-*' --jobs 4",
            " -- --all --fresh",
        ),
        arguments=_build_matrix,
        run=commands.build_matrix,
    ),
    Command(
        name="plan",
        help="Print every cell of the matrix, the left-out ones with the reason.",
        examples=("", " -- --all", " -- --json --platform linux/arm64"),
        arguments=_plan,
        run=commands.plan,
    ),
    Command(
        name="lock",
        help="Resolve the exact inputs anew (Debian packages, wheels, models) and write the locks.",
        examples=("",),
        arguments=_lock,
        run=commands.lock,
    ),
    Command(
        name="smoke",
        help="Audit and test the selected cells' images again, without publishing them.",
        examples=("", " -- --backend onnxruntime --platform linux/amd64"),
        arguments=_smoke,
        run=commands.smoke,
    ),
    Command(
        name="serve",
        help="Run the embedding service on this host, with the wheels and model of the images.",
        examples=("", " -- --backend onnxruntime --model fixture-768 --port 9000"),
        arguments=_serve,
        run=commands.serve,
    ),
    Command(
        name="engine",
        help="Show, start or stop the Docker engine that builds use.",
        examples=("", " -- start", " -- stop"),
        arguments=_engine,
        run=commands.engine,
    ),
    Command(
        name="bench",
        help="Measure, and write docs/benchmarks.md.",
        examples=(" -- build",),
        arguments=_bench,
        run=commands.bench,
    ),
)
