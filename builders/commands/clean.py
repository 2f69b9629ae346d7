"""Delete what the cache can do without: what no lock needs, and what was not used of late.

Of each kind of thing that was made from inputs, the N that were used last stay, and what the locks
and verdicts of this checkout need. Nothing is deleted while another command uses the cache.
docs/clean.md tells what is kept where.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from docker import DockerClient

from builders import clean, engine, project
from builders.clean import Part
from builders.engine import Engine, connection
from builders.engine import images as engine_images
from builders.errors import EngineError
from builders.project import Project

EXAMPLES = ("--keep 3", "--keep 3 --dry-run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--keep",
        type=_count,
        required=True,
        metavar="N",
        help="how many of each kind stay, needed or not; and GB of a private engine's build cache",
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be deleted")


def run(arguments: argparse.Namespace) -> int:
    """Delete, and tell what that freed."""
    checkout = project.load()
    used = _engine(checkout)
    with checkout.store.alone():
        parts = clean.parts(checkout, arguments.keep)
        if not arguments.dry_run:
            checkout.store.sweep()
            for part in parts:
                clean.remove(part)
        for line in lines(parts, is_dry=arguments.dry_run):
            _say(line)
        # With what is deleted, its image goes from the engine too.
        gone = {path for part in parts for path in part.removed}
        kept = clean.images(checkout.store.cache, gone)
        if used is None:
            _say("no engine runs: its images stay (`nox -s engine -- start`, then again)")
        else:
            with connection.connect(used.environment) as client:
                names = engine_images.superfluous(client, kept, checkout.matrix.prefix)
                if arguments.dry_run:
                    _say(f"{used.kind} engine: would delete {len(names)} images")
                else:
                    _say(_engine_cleaned(used, client, names, arguments.keep))
    return 0


def lines(parts: Sequence[Part], *, is_dry: bool) -> list[str]:
    """Return what people are told of the files: a line for each part, and the sum."""
    width = max(len(part.name) for part in parts)
    verb = "would free" if is_dry else "freed"
    return [
        *(
            f"{part.name:{width}}  {verb} {_megabytes(part.size):>10}"
            f"  {len(part.removed)} deleted, {part.kept} kept"
            for part in parts
        ),
        f"{'all files':{width}}  {verb} {_megabytes(sum(part.size for part in parts)):>10}",
    ]


def _engine(checkout: Project) -> Engine | None:
    """Return the engine whose images are of this cache, if it runs; none is started."""
    try:
        return engine.status(checkout.store.cache, named=checkout.matrix.engine).engine
    except EngineError:
        return None


def _engine_cleaned(used: Engine, client: DockerClient, names: Sequence[str], keep: int) -> str:
    """Take images out of the engine; return what people are told."""
    engine_images.remove(client, names)
    told = f"{used.kind} engine: deleted {len(names)} images"
    if used.kind != "private":  # others build with it too
        return told
    freed = engine_images.shrink_build_cache(client, keep * 10**9)
    return f"{told}, freed {_megabytes(freed)} of its build cache"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of things to keep")
    return int(text)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
