"""The measurements of `nox -s bench -- serve`, each of running servers on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import model as models
from builders.bench import deep
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.bench.serve import comparisons, endurance, subjects
from builders.bench.serve.asking import Part, asking
from builders.bench.serve.library import library
from builders.bench.serve.running import running
from builders.bench.serve.texts import texts

BACKEND, SMALL = "onnxruntime", "fixture-768"
CLIENTS = 32
TOKENS = 16
DIFFERENT = 512
"""How many different texts are asked in turn."""

BATCH_TRIES = 2
STARTS = 5


@dataclass(frozen=True, kw_only=True)
class Slices:
    """How long and how often the compared parts are measured in turn.

    Attributes:
        texts: How many texts a slice has.
        alone: How many texts it has that are embedded one by one.
        tried: How many texts each batch size is tried with.
        rounds: How many slices of each part.
    """

    texts: int
    alone: int
    tried: int
    rounds: int


def throughput(bench: Bench) -> tuple[Figure, ...]:
    """Compare the service with the library, with a model of a real one's shape."""
    model = deep.directory(bench.project, "onnx", "float32")
    return _throughput(bench, deep.NAME, model, Slices(texts=192, alone=40, tried=64, rounds=5))


def throughput_small(bench: Bench) -> tuple[Figure, ...]:
    """Compare the service with the library, with a small model."""
    model = models.directory(bench.project, SMALL, "onnx").path
    return _throughput(bench, SMALL, model, Slices(texts=1536, alone=200, tried=512, rounds=7))


def ready(bench: Bench) -> tuple[Figure, ...]:
    """Start the service again and again; time each start to its first vector."""
    python = subjects.environment(bench, bench.project.images / BACKEND)
    model = models.directory(bench.project, SMALL, "onnx").path
    samples = []
    for _ in range(STARTS + 1):
        with running(subjects.service(bench, BACKEND, python, model)) as server:
            samples.append(server.ready)
    # At the first start, files come from the disk, and Python compiles all that it imports.
    return (median("seconds", samples[1:], subject=SMALL),)


MEASUREMENTS: Mapping[str, Callable[[Bench], tuple[Figure, ...]]] = {
    "throughput": throughput,
    "throughput-small": throughput_small,
    "infinity": comparisons.infinity,
    "llama-cpp-server": comparisons.llama_cpp_server,
    "ready": ready,
    "lengths": endurance.lengths,
    "soak": endurance.soak,
    "sigterm": endurance.sigterm,
}
"""What takes the measurements of `claims.SERVE`, by name."""


def _throughput(bench: Bench, name: str, model: Path, slices: Slices) -> tuple[Figure, ...]:
    python = subjects.environment(bench, bench.project.images / BACKEND)
    asked = {"texts": texts(DIFFERENT, tokens=TOKENS, seed="throughput")}
    many = Part(texts="texts", clients=CLIENTS, answers=slices.texts)
    one = Part(texts="texts", clients=1, answers=slices.alone)
    rates: list[tuple[float, float]] = []
    medians: list[tuple[float, float]] = []
    processors: list[float] = []
    with (
        bench.reporter.step(name) as step,
        library(python, model, asked, bench.scratch) as direct,
        running(subjects.service(bench, BACKEND, python, model)) as server,
        asking(server.server, asked, bench.scratch) as clients,
    ):
        clients.ask(many)
        batch = direct.best_batch("texts", count=slices.tried, tries=BATCH_TRIES)
        for _ in range(slices.rounds):
            library_slice = direct.embed("texts", count=slices.texts, batch=batch)
            used = server.processor
            service_slice = clients.ask(many)
            used = server.processor - used
            rates.append((slices.texts / library_slice.seconds, service_slice.rate))
            processors.append(used / library_slice.processor)
            alone = direct.embed("texts", count=slices.alone, batch=1)
            medians.append((alone.typical, clients.ask(one).streams[0].typical))
            step.note(f"library {rates[-1][0]:.0f}/s, service {rates[-1][1]:.0f}/s")
    return (
        median("library", [rate for rate, _ in rates], subject=f"{name}, {batch} at a time"),
        median("service", [rate for _, rate in rates], subject=name),
        median("ratio", [own / rate for rate, own in rates], subject=name, digits=3),
        median("processor", processors, subject=name),
        median("alone", [call for call, _ in medians], subject=name),
        median("one", [answer for _, answer in medians], subject=name),
        median("added", [answer - call for call, answer in medians], subject=name),
    )
