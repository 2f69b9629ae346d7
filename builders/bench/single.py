"""How long one text takes: with our wheel and with others of the same project, in turn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from builders import host, stages
from builders import model as models
from builders.bench import anew, deep, default_wheel
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.errors import BenchError
from builders.process import run
from builders.store import link_or_copy
from builders.wheelhouse.gather import Toolchain

BACKEND, MODEL = "llama-cpp", "fixture-768"
SHORT = "where is the nearest train station"
LONG = " ".join([SHORT] * 12)
AVX2 = "haswell"
VARIANTS = "libggml-cpu-*.so"

SCRIPT = Path(__file__).with_name("repeat.py")
ROUNDS = 7
RUN_SECONDS = 600.0


class Repeated(BaseModel):
    """What repeat.py writes: what the library computed with, and how long each time took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: Mapping[str, str]
    seconds: tuple[float, ...] = Field(min_length=1)
    tokens: int

    @property
    def milliseconds(self) -> float:
        """The shortest: whatever else the machine does can only add to it."""
        return min(self.seconds) * 1e3

    @property
    def name(self) -> str:
        """What was measured: the variant and the length of the text."""
        return f"{self.runtime['cpu_variant']}, {self.tokens} tokens"


Round = tuple[Repeated, Repeated]
"""What two subjects gave, one after the other."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What embeds: an interpreter, the model, and what comes first on Python's path.

    Attributes:
        warm: How often it embeds before it is timed.
        times: How often it is timed.
        threads: How many compute a text.
    """

    python: Path
    model: Path
    path: tuple[Path, ...]
    text: str
    warm: int
    times: int
    threads: int = 1

    @property
    def argv(self) -> tuple[str, ...]:
        """The argument list."""
        return (str(self.python), str(SCRIPT), str(self.warm), str(self.times))

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment: nothing that the user has set counts."""
        return {
            **{name: environment[name] for name in ("HOME", "PATH") if name in environment},
            "EMBEDDING_MODEL_DIR": str(self.model),
            "EMBEDDING_THREADS": str(self.threads),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": os.pathsep.join(map(str, self.path)),
        }


def single(bench: Bench) -> tuple[Figure, ...]:
    """Time one text with our wheel against the default one, and Q8_0 against AVX2 alone."""
    project = bench.project
    ours = installed(bench)
    path = ours.path
    default = replace(ours, python=default_wheel.python(bench, BACKEND))
    figures = list(compared(("ours", "default", "ratio"), _in_turn(bench, ours, default)))
    only_avx2 = only_variant(ours.python, AVX2, bench.scratch / AVX2)
    quantised = deep.directory(project, "gguf", "q8_0")
    for text, times in ((SHORT, 30), (LONG, 10)):
        best = replace(ours, model=quantised, text=text, warm=3, times=times)
        rounds = _in_turn(bench, replace(best, path=(only_avx2, *path)), best)
        refuse_same_variant(rounds)
        figures += compared(("avx2", "best", "gain"), rounds)
    return tuple(figures)


def installed(bench: Bench) -> Subject:
    """Return what embeds a short text on this host with the image's wheel.

    Raises:
        BenchError: The wheel is not for this host.
    """
    project = bench.project
    cells = [one for one in anew.image_cells(project, BACKEND) if one.platform == host.current()]
    if not cells:
        raise BenchError(
            "the images' wheels do not run on this host", remedy="measure on linux/amd64"
        )
    engine = stages.find_engine(project, bench.reporter)
    locks = stages.fetch(project, cells, engine.native, bench.reporter)
    toolchain = Toolchain(lock=locks.toolchain, engine=lambda: engine)
    return Subject(
        python=stages.host_python(project, BACKEND, toolchain, bench.reporter),
        model=models.directory(project, MODEL, "gguf").path,
        path=(project.images / "service", project.images / BACKEND),
        text=SHORT,
        warm=50,
        times=300,
    )


def compared(claims: tuple[str, str, str], rounds: Sequence[Round]) -> tuple[Figure, ...]:
    """Return the medians of two subjects, and the median of each round's quotient."""
    first, second = ([one[index] for one in rounds] for index in (0, 1))
    return (
        median(claims[0], [one.milliseconds for one in first], subject=first[0].name),
        median(claims[1], [one.milliseconds for one in second], subject=second[0].name),
        median(
            claims[2],
            [one.milliseconds / other.milliseconds for one, other in rounds],
            subject=f"{first[0].tokens} tokens",
            digits=3,
        ),
    )


def refuse_same_variant(rounds: Sequence[Round]) -> None:
    """Refuse a comparison in which the first is not AVX2 alone, or the second not more.

    Raises:
        BenchError: It would show nothing.
    """
    found = {tuple(one.runtime.get("cpu_variant", "") for one in pair) for pair in rounds}
    if any(first != AVX2 or second == AVX2 for first, second in found):
        raise BenchError(
            f"the variants taken were {sorted(found)}",
            remedy="measure on a processor that has more than AVX2",
        )


def only_variant(python: Path, variant: str, target: Path) -> Path:
    """Make the installed library's package once more, of links, with one variant alone.

    Args:
        python: Of the environment that holds it.
        variant: Its name, such as `haswell`.
        target: A directory to make, which goes on Python's path.
    """
    (package,) = python.parent.parent.glob("lib/python3*/site-packages/llama_cpp")
    for path in sorted(package.rglob("*")):
        other = fnmatchcase(path.name, VARIANTS) and path.name != VARIANTS.replace("*", variant)
        if path.is_file() and not other:
            place = target / package.name / path.relative_to(package)
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, place)
    return target


def _in_turn(bench: Bench, first: Subject, second: Subject) -> tuple[Round, ...]:
    """Run two subjects in turn, each in a process of its own every time."""
    rounds = []
    with bench.reporter.step("single text") as step:
        for _ in range(ROUNDS):
            rounds.append((repeated(first), repeated(second)))
            step.note(" ms, ".join(f"{one.name} {one.milliseconds:.2f}" for one in rounds[-1]))
    return tuple(rounds)


def repeated(subject: Subject) -> Repeated:
    """Embed a text again and again in a process of its own."""
    completed = run(
        subject.argv,
        env=subject.environment(os.environ),
        stdin=subject.text,
        timeout=RUN_SECONDS,
    )
    return Repeated.model_validate_json(completed.stdout)
