"""Run the embedding service on this host, with the wheels and the model of the images.

It listens until it is interrupted; nothing is left running then.
"""

from __future__ import annotations

import argparse

from builders import host, host_venv, inputs, model, project, report, serve, stages
from builders import plan as plans
from builders.commands.arguments import port
from builders.errors import ModelError
from builders.inputs import Needs
from builders.inventory import locks as inventory_locks
from builders.inventory import notices
from builders.selection import Selection
from builders.wheelhouse.gather import Toolchain

EXAMPLES = ("", "--backend onnxruntime --model fixture-768 --port 9000")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--backend", default="onnxruntime", metavar="NAME", help="which library")
    parser.add_argument("--model", default="fixture-768", metavar="NAME", help="which model")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen")
    parser.add_argument("--port", type=port, default=8080, metavar="N", help="where to listen")


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    serve.refuse_taken_port(arguments.host, arguments.port)
    checkout = project.load()
    chosen = Selection(backends=(arguments.backend,), models=(arguments.model,))
    planned = plans.plan(checkout.matrix, chosen, host.current())
    # Any platform's cell: the format is the same, and the wheels are this host's.
    cell = next(cell for cell in planned.cells if cell.selected)
    if reason := model.absent(checkout).get(cell.model):
        raise ModelError(f"model {cell.model} {reason}")
    with report.reporter([]) as reporter:
        with reporter.step("fetch") as step:
            needs = Needs(
                roots=(),
                wheels=((cell.backend, host.current()),),
                build_platform=host.build_platform(),
            )
            locks = inputs.fetch(checkout, needs, progress=step.progress, note=step.note)
        toolchain = Toolchain(
            lock=locks.toolchain, engine=lambda: stages.find_engine(checkout, reporter)
        )
        python = stages.host_python(checkout, cell.backend, toolchain, reporter)
        with reporter.step("model"):
            directory = model.directory(checkout, cell.model, cell.format)
        with reporter.step("inventory"):
            here = host.current()
            wheels = stages.wheels_of(checkout, cell.backend, here, toolchain, reporter)
            told = notices.of_host(
                checkout.store,
                inventory_locks.on_host(
                    checkout, cell, platform=here, wheels=wheels, directory=directory
                ),
                wheels=wheels,
                site=host_venv.site(python),
            )
    serve.serve(
        serve.Service(
            python=python,
            module_path=(checkout.images / "service", checkout.images / cell.backend),
            model=directory.path,
            inventory=told.inventory,
            host=arguments.host,
            port=arguments.port,
        ),
        note=lambda text: print(text, flush=True),  # noqa: T201 (what people see)
    )
    return 0
