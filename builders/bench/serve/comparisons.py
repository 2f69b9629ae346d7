"""The service against its peers: the same model, requests, clients and threads, in turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from builders import model as models
from builders.bench import single
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.bench.serve import subjects
from builders.bench.serve.asking import Part, asking
from builders.bench.serve.running import Server, running, vector
from builders.bench.serve.texts import texts
from builders.errors import BenchError

PLAIN, SMALL = "fixture-bert-384", "fixture-768"
CLIENTS = 32
TOKENS = 16
DIFFERENT = 512
ROUNDS = 7
SLICE = 768
"""How many answers a slice has."""

OPENAI = "/v1/embeddings"

ALIKE = 1e-3
"""How far two servers' vectors of a text may be apart: the model is the same, the code is not."""

LOOKED_AT = 8
"""How many texts' vectors are compared before anything is timed."""

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Two servers' vectors of a text, of unit length."""


def infinity(bench: Bench) -> tuple[Figure, ...]:
    """Compare with infinity-emb: one model, as ONNX and for sentence-transformers."""
    project = bench.project
    python = subjects.environment(bench, project.images / "onnxruntime")
    ours = subjects.service(
        *(bench, "onnxruntime", python),
        models.directory(project, PLAIN, "onnx").path,
        path=OPENAI,
    )
    theirs = subjects.infinity(
        bench, models.directory(project, PLAIN, "sentence-transformers").path
    )
    return _compared(bench, ours, theirs)


def llama_cpp_server(bench: Bench) -> tuple[Figure, ...]:
    """Compare with llama-cpp-python's own server: one GGUF file, one library."""
    installed = single.installed(bench)
    ours = subjects.service(bench, "llama-cpp", installed.python, installed.model, path=OPENAI)
    theirs = subjects.llama_cpp_server(bench, installed.python, installed.model)
    return _compared(bench, ours, theirs)


def _compared(bench: Bench, ours: Server, theirs: Server) -> tuple[Figure, ...]:
    asked = {"texts": texts(DIFFERENT, tokens=TOKENS, seed=theirs.name)}
    part = Part(texts="texts", clients=CLIENTS, answers=SLICE)
    rates: list[tuple[float, float]] = []
    with (
        bench.reporter.step(f"against {theirs.name}") as step,
        running(ours),
        running(theirs),
        asking(ours, asked, bench.scratch) as our_clients,
        asking(theirs, asked, bench.scratch) as their_clients,
    ):
        refuse_unlike(
            [(vector(ours, text), vector(theirs, text)) for text in asked["texts"][:LOOKED_AT]]
        )
        for clients in (our_clients, their_clients):
            clients.ask(part)
        for _ in range(ROUNDS):
            rates.append((our_clients.ask(part).rate, their_clients.ask(part).rate))
            step.note(f"ours {rates[-1][0]:.0f}/s, theirs {rates[-1][1]:.0f}/s")
    return compared(rates)


def compared(rates: Sequence[tuple[float, float]]) -> tuple[Figure, ...]:
    """Return the medians of both servers' answers a second, and of each round's quotient."""
    return (
        median("ours", [own for own, _ in rates]),
        median("theirs", [other for _, other in rates]),
        median("ratio", [own / other for own, other in rates]),
    )


def refuse_unlike(pairs: Sequence[Pair]) -> None:
    """Refuse to compare servers of which one computes something else.

    Raises:
        BenchError: Their vectors of a text are not alike.
    """
    apart = [float(np.linalg.norm(own - other)) for own, other in pairs]
    if not all(distance <= ALIKE for distance in apart):
        raise BenchError(f"the two servers' vectors are {max(apart):.2g} apart")
