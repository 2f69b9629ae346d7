"""Show, start or stop the Docker engine that builds use.

`stop` ends the private engine; an engine of the system's is never stopped. Its images stay in the
cache, for when it is started again.
"""

from __future__ import annotations

import argparse
import sys

from builders import engine, matrix, rebuild
from builders.engine import private as private_engine
from builders.paths import ROOT
from builders.store import cache_directory

EXAMPLES = ("", "start", "stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "action",
        choices=("status", "start", "stop"),
        nargs="?",
        default="status",
        help="what to do (default: status)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it, and say how things are then."""
    cache = cache_directory()
    if arguments.action == "stop":
        stopped = (engine.stop(cache), rebuild.stop_engine(cache))
        _say("the private engine is stopped" if any(stopped) else "no private engine was running")
        return 0
    named = matrix.load(ROOT / "matrix.yaml").engine
    if arguments.action == "start":
        engine.find(cache, named=named, note=_say)
    _say(_described(engine.status(cache, named=named)))
    return 0


def _described(status: engine.Status) -> str:
    used = status.engine
    if used is None:
        reason = f" ({status.reason})" if status.reason else ""
        against = "; ".join(private_engine.reasons_against())
        then = (
            f"and none can be started: {against}"
            if against
            else "a build would start a private one"
        )
        return f"no engine runs that builds could use{reason}; {then}"
    versions = used.versions
    return "\n".join(
        (
            f"{used.kind} engine at {used.host}",
            f"  runs      {', '.join(used.platforms)} (native: {used.native})",
            f"  docker    {versions.docker}, containerd {versions.containerd}",
            f"  buildx    {versions.buildx}, BuildKit {versions.buildkit}",
            f"  use it    export DOCKER_HOST={used.host}",
        )
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
