"""Arguments that several commands take."""

from __future__ import annotations

import argparse


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Declare `--jobs`."""
    parser.add_argument(
        "--jobs",
        type=positive,
        default=2,
        metavar="N",
        help="cells that are worked on at the same time (default: 2)",
    )


def positive(text: str) -> int:
    """Return the number that a text is, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def port(text: str) -> int:
    """Return the TCP port that a text is."""
    number = int(text)
    if not 1 <= number <= 65535:  # noqa: PLR2004 (the range of TCP ports)
        raise argparse.ArgumentTypeError("must be between 1 and 65535")
    return number
