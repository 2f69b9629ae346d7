"""Run the embedding service on this host, with the wheels and the model of the images.

It listens until it is interrupted; nothing is left running then.
"""

from __future__ import annotations

import argparse
import sys

from builders import host, inputs, model, project, reference, report, serve
from builders import plan as plans
from builders.commands.arguments import port
from builders.errors import SelectionError
from builders.inputs import Needs
from builders.selection import Selection

EXAMPLES = ("", "--backend onnxruntime --model fixture-768 --port 9000")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--backend", default="onnxruntime", metavar="NAME", help="which library")
    parser.add_argument("--model", default="fixture-768", metavar="NAME", help="which model")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen")
    parser.add_argument("--port", type=port, default=8080, metavar="N", help="where to listen")
