"""What the service is like under load: for long, while it ends, and with long texts among short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builders import model as models
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.bench.serve import subjects
from builders.bench.serve.asking import Asked, Part, asking
from builders.bench.serve.library import library
from builders.bench.serve.running import running
from builders.bench.serve.texts import texts
from builders.errors import BenchError

BACKEND, MODEL = "onnxruntime", "fixture-768"
CLIENTS = 32
DIFFERENT = 64
"""How many different texts are asked in turn."""

SHORT_TOKENS, LONG_TOKENS = 3, 512
SHORT_CLIENTS, LONG_CLIENTS = 8, 16
SHORT_ANSWERS = 2000
"""How many short texts are asked in a slice: its p99 is the 21st longest of their times."""
LENGTH_ROUNDS = 5
LONGEST_BATCHES = 101
"""How often a long text is computed by the library: its tokens are the service's default budget, so
that it is a batch by itself."""

SOAK_TOKENS = (3, 4, 6, 9, 13)
SOAK_DIFFERENT = 100
"""How many different texts of each length."""
SOAK_ANSWERS = 100_000
SOAK_PARTS = 20
WARM_PARTS = 2

ENDS = 5
ANSWERS_BEFORE_END = 400


@dataclass(frozen=True, kw_only=True)
class Round:
    """Short texts alone and among long ones, in milliseconds.

    Attributes:
        alone: The p99 of short texts alone.
        typical: The median of the longest batch's times.
        batch: Their p99.
        among: The p99 of short texts among long ones.
    """

    alone: float
    typical: float
    batch: float
    among: float

    def __str__(self) -> str:
        return (
            f"alone {self.alone:.0f} ms, longest batch {self.typical:.0f} to {self.batch:.0f} ms,"
            f" among {self.among:.0f} ms"
        )


def lengths(bench: Bench) -> tuple[Figure, ...]:
    """Compare short texts' p99 among long ones with their p99 alone and the longest batch."""
    python = subjects.environment(bench, bench.project.images / BACKEND)
    model = models.directory(bench.project, MODEL, "onnx").path
    asked = {
        "short": texts(DIFFERENT, tokens=SHORT_TOKENS, seed="short"),
        "long": texts(DIFFERENT, tokens=LONG_TOKENS, seed="long"),
    }
    short = Part(texts="short", clients=SHORT_CLIENTS, answers=SHORT_ANSWERS)
    long = Part(texts="long", clients=LONG_CLIENTS, answers=None)
    rounds: list[Round] = []
    with (
        bench.reporter.step("lengths") as step,
        library(python, model, asked, bench.scratch) as direct,
        running(subjects.service(bench, BACKEND, python, model)) as server,
        asking(server.server, asked, bench.scratch) as clients,
    ):
        clients.ask(short, long)
        for _ in range(LENGTH_ROUNDS):
            batch = direct.embed("long", count=LONGEST_BATCHES, batch=1)
            alone = clients.ask(short).streams[0].slow
            among = clients.ask(short, long).streams[0].slow
            rounds.append(Round(alone=alone, typical=batch.typical, batch=batch.slow, among=among))
            step.note(str(rounds[-1]))
    return length_figures(rounds)


def length_figures(rounds: Sequence[Round]) -> tuple[Figure, ...]:
    """Return the medians; all times in milliseconds."""
    return (
        median("alone", [each.alone for each in rounds]),
        median("typical", [each.typical for each in rounds]),
        median("batch", [each.batch for each in rounds]),
        median("among", [each.among for each in rounds]),
        median("ratio", [each.among / (each.alone + each.batch) for each in rounds]),
        median("ratio-typical", [each.among / (each.alone + each.typical) for each in rounds]),
    )


def soak(bench: Bench) -> tuple[Figure, ...]:
    """Ask many times, and check each vector against its text."""
    python = subjects.environment(bench, bench.project.images / BACKEND)
    model = models.directory(bench.project, MODEL, "onnx").path
    different = [
        text
        for tokens in SOAK_TOKENS
        for text in texts(SOAK_DIFFERENT, tokens=tokens, seed=f"soak {tokens}")
    ]
    # Texts of different lengths come one after the other, and in another order every time.
    mixed = [different[number * 7 % len(different)] for number in range(len(different))]
    asked = {"texts": mixed}
    expected = bench.scratch / "expected.npy"
    with library(python, model, asked, bench.scratch) as direct:
        direct.save("texts", expected)
    parts: list[Asked] = []
    memory: list[float] = []
    each = Part(texts="texts", clients=CLIENTS, answers=SOAK_ANSWERS // SOAK_PARTS)
    with (
        bench.reporter.step("soak") as step,
        running(subjects.service(bench, BACKEND, python, model)) as server,
        asking(server.server, asked, bench.scratch, expected={"texts": expected}) as clients,
    ):
        for _ in range(SOAK_PARTS):
            parts.append(clients.tried(each))
            memory.append(server.resident)
            step.note(f"{sum(part.answers for part in parts)} answers, {memory[-1]:.0f} MB")
    return soak_figures(parts, memory)


def soak_figures(parts: Sequence[Asked], memory: Sequence[float]) -> tuple[Figure, ...]:
    """Return what was lost and wrong, and how memory grew after the warm-up.

    Args:
        parts: What was answered.
        memory: In megabytes, after each part.
    """
    streams = [stream for part in parts for stream in part.streams]
    warm = memory[WARM_PARTS - 1]
    growth = max(memory[WARM_PARTS:]) / warm - 1
    return (
        Figure(claim="answers", value=sum(part.answers for part in parts)),
        Figure(claim="lost", value=sum(stream.lost + stream.refused for stream in streams)),
        Figure(claim="wrong", value=sum(stream.wrong for stream in streams)),
        Figure(claim="memory", value=round(warm, 1)),
        Figure(claim="growth", value=round(100 * growth, 2)),
    )


def sigterm(bench: Bench) -> tuple[Figure, ...]:
    """End the service again and again while all clients ask."""
    python = subjects.environment(bench, bench.project.images / BACKEND)
    model = models.directory(bench.project, MODEL, "onnx").path
    asked = {"texts": texts(DIFFERENT, tokens=16, seed="sigterm")}
    endless = Part(texts="texts", clients=CLIENTS, answers=None)
    ends: list[Asked] = []
    for _ in range(ENDS):
        with (
            running(subjects.service(bench, BACKEND, python, model)) as server,
            asking(server.server, asked, bench.scratch) as clients,
        ):
            at = {"process": server.process.pid, "answers": ANSWERS_BEFORE_END}
            ends.append(clients.tried(endless, signal=at))
            if status := server.process.wait():
                raise BenchError(f"exit status {status} after SIGTERM", where=server.server.name)
    return end_figures(ends)


def end_figures(ends: Sequence[Asked]) -> tuple[Figure, ...]:
    """Return how many requests were answered and lost, over all ends."""
    streams = [stream for end in ends for stream in end.streams]
    return (
        Figure(claim="answers", value=sum(end.answers for end in ends)),
        Figure(claim="lost", value=sum(stream.lost for stream in streams)),
        Figure(claim="refused", value=sum(stream.refused for stream in streams)),
    )
