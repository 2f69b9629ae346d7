"""What a wheel from source costs: compiled natively, across, and under emulation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders import stages
from builders.bench.bench import Bench, fetch
from builders.bench.compile import BASE
from builders.bench.record import Figure
from builders.errors import BenchError
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.process import run
from builders.rootfs.kept import TOOLCHAIN, root
from builders.wheelhouse import build as wheel_build

BACKEND = "llama-cpp"
NATIVE, TARGET = "linux/amd64", "linux/arm64"

PAIRS = (("sse42", "armv8.0_1"), ("haswell", "armv8.2_2"))
"""Variants of the two platforms that stand against each other: each one's oldest processors, and
those with the usual vector instructions (AVX2; fp16 and dot products)."""

EVERY = 10
"""Of the files that are no variant's, every tenth is compiled."""

EMULATED_EVERY = 4
"""Of those files and the second pair's variant, every fourth is compiled under emulation too."""

TIME_LIMIT = 2 * 3600.0
DOCKERFILE = Path(__file__).with_name("compile.Dockerfile")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CompiledFile(_Part):
    """A file's processor time in seconds."""

    architecture: str
    group: str = Field(description="its variant, or `base`")
    file: str
    seconds: float = Field(gt=0)


class Compiled(_Part):
    """What compile.py writes: how many files there are beside variants, and what it compiled."""

    base_files: int
    files: tuple[CompiledFile, ...]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What is compiled with what.

    Attributes:
        recipe: The directory of the wheel's recipe.
        contexts: The named build contexts.
    """

    recipe: Path
    contexts: Mapping[str, str]


def wheel(bench: Bench) -> tuple[Figure, ...]:
    """Compile a wheel's files natively, across and under emulation, and compare."""
    engine = stages.find_engine(bench.project, bench.reporter)
    if engine.native != NATIVE or TARGET not in engine.platforms:
        raise BenchError(
            f"{TARGET} is not emulated here", remedy=f"measure on {NATIVE}, with qemu registered"
        )
    used = _inputs(bench)
    out = bench.scratch / "out"
    with bench.reporter.step("compile") as step:
        step.note("files of both platforms natively and across, then some under emulation")
        argv = command(used, plan(), epoch=bench.project.matrix.epoch, destination=out)
        run(argv, env=engine.environment, timeout=TIME_LIMIT)
    return figures(_read(out / "cross.json"), _read(out / "emulated.json"))


def plan() -> Mapping[str, object]:
    """Return what compile.py compiles."""
    native, target = (platform.partition("/")[2] for platform in (NATIVE, TARGET))
    return {
        "variants": {
            native: [pair[0] for pair in PAIRS],
            target: [pair[1] for pair in PAIRS],
        },
        "every": EVERY,
        "emulated": {"architecture": target, "variant": PAIRS[-1][1], "every": EMULATED_EVERY},
    }


def command(
    used: Inputs, planned: Mapping[str, object], *, epoch: int, destination: Path
) -> tuple[str, ...]:
    """Return the argument list that compiles, and leaves two documents in a directory."""
    words = [
        *("docker", "buildx", "build"),
        *("--platform", TARGET),
        *("--file", str(DOCKERFILE)),
        *("--network", "none"),
        *("--provenance", "false"),
        *("--progress", "plain"),
        "--no-cache",
        *("--build-arg", f"SOURCE_DATE_EPOCH={epoch}"),
        *("--build-arg", f"PLAN={json.dumps(planned, sort_keys=True)}"),
        *("--output", f"type=local,dest={destination}"),
    ]
    for name, location in sorted(used.contexts.items()):
        words += ["--build-context", f"{name}={location}"]
    return (*words, str(used.recipe))


def figures(compiled: Compiled, emulated: Compiled) -> tuple[Figure, ...]:
    """Return what wheels of one variant cost, and the quotients."""
    found = []
    for native, target in PAIRS:
        costs = (one_variant_seconds(compiled, native), one_variant_seconds(compiled, target))
        found += [
            Figure(claim="native", subject=native, value=round(costs[0], 1)),
            Figure(claim="cross", subject=target, value=round(costs[1], 1)),
            Figure(
                claim="ratio",
                subject=f"{target} over {native}",
                value=round(costs[1] / costs[0], 3),
            ),
        ]
    slow, fast = paired_seconds(emulated.files, compiled.files)
    return (
        *found,
        Figure(claim="cross-sample", value=round(fast, 1)),
        Figure(claim="emulated-sample", value=round(slow, 1)),
        Figure(claim="emulated", value=round(slow / fast, 2)),
    )


def one_variant_seconds(compiled: Compiled, variant: str) -> float:
    """Return the processor time of a wheel with one variant, extrapolated from its sample.

    Raises:
        BenchError: Nothing was compiled for the variant.
    """
    own = [each for each in compiled.files if each.group == variant]
    if not own:
        raise BenchError("nothing was compiled for it", where=variant)
    base = [
        each.seconds
        for each in compiled.files
        if each.group == BASE and each.architecture == own[0].architecture
    ]
    return sum(base) / len(base) * compiled.base_files + sum(each.seconds for each in own)


def paired_seconds(
    some: Sequence[CompiledFile], others: Iterable[CompiledFile]
) -> tuple[float, float]:
    """Return the processor time of some files, and of the same files among others."""
    known = {(each.architecture, each.group, each.file): each.seconds for each in others}
    return (
        sum(each.seconds for each in some),
        sum(known[each.architecture, each.group, each.file] for each in some),
    )


def _read(path: Path) -> Compiled:
    try:
        return Compiled.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BenchError(f"no result of the compilation: {error}", where=path.name) from error


def _inputs(bench: Bench) -> Inputs:
    """Fetch compilers of both platforms, and what the wheel is built from."""
    project = bench.project
    locks = [debian_lock.read(project.images / TOOLCHAIN, each) for each in (NATIVE, TARGET)]
    (build,) = wheel_build.planned(project, BACKEND, TARGET, locks[0])
    requirements = wheel_lock.read(build.recipe.directory, NATIVE)
    sources = wheel_lock.read(project.images / BACKEND, TARGET)
    fetch(bench, debian=locks, wheels=(requirements, sources))
    with bench.reporter.step("root file systems"):
        native, foreign = (root(project, lock, folder=TOOLCHAIN) for lock in locks)
    return Inputs(
        recipe=build.recipe.directory,
        contexts={
            "bench": str(DOCKERFILE.parent),
            "foreign": foreign.context.location,
            "requirements": str(project.store.gathered("wheels", requirements.files)),
            "source": str(
                project.store.gathered("sources", {build.source.file: build.source.sha256})
            ),
            "toolchain": native.context.location,
            "tools": str(project.images / TOOLCHAIN),
        },
    )
