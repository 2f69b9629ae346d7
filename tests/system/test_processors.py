"""llama.cpp's images on older and newer processors: each takes its variant, and computes right.

qemu is every processor here, in the image's own container: it runs the service's Python, as the
processor that QEMU_CPU names. docs/processors.md says what that shows, and what it does not.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from builders import parity, plan, project, proof, report, stages
from builders.engine import Engine, containers
from builders.engine import images as engine_images
from builders.engine.connection import connect
from builders.engine.containers import Container, ReadOnlyMount
from builders.engine.run_mark import mark
from builders.files import write_atomically
from builders.once import Once
from builders.plan import Cell
from builders.project import Project
from builders.report import Reporter
from builders.smoke import cell as smoke_cell
from builders.smoke.subject import EMULATED, NATIVE
from builders.stages import Options, Shared
from builders.vectors import Vectors, parse

pytestmark = pytest.mark.engine

QEMU = "/qemu"
PYTHON = "/usr/bin/python3"
ILLEGAL_INSTRUCTION = 128 + 4

NOTHING: Mapping[str, str] = {}

EMULATORS = {"linux/amd64": "qemu-x86_64", "linux/arm64": "qemu-aarch64"}


@dataclass(frozen=True, kw_only=True)
class Processor:
    """A processor by qemu's name, and the variant of llama.cpp that it must take."""

    platform: str
    name: str
    variant: str


NEHALEM = Processor(platform="linux/amd64", name="Nehalem", variant="sse42")
HASWELL = Processor(platform="linux/amd64", name="Haswell", variant="haswell")
CORTEX_A53 = Processor(platform="linux/arm64", name="cortex-a53", variant="armv8.0_1")
NEOVERSE_N1 = Processor(platform="linux/arm64", name="neoverse-n1", variant="armv8.2_2")

FLOAT32, Q8_0 = "fixture-768", "fixture-768-q8-0"
RUNS = (
    (NEHALEM, FLOAT32),
    (HASWELL, Q8_0),  # 8 bits have instructions of their own
    (CORTEX_A53, FLOAT32),
    (NEOVERSE_N1, Q8_0),
)
"""An emulated start takes half a minute: not every processor runs every precision."""

FORCED = """
import ctypes, sys
from llama_cpp import _ggml
path = _ggml.libggml_base_path / f"libggml-cpu-{sys.argv[1]}.so"
variant = ctypes.CDLL(str(path))
variant.ggml_backend_init.restype = ctypes.c_void_p
# The first that is registered computes; ggml would have asked it whether it fits this processor.
_ggml.libggml.ggml_backend_register(ctypes.c_void_p(variant.ggml_backend_init()))
from embedding_service import vectors
sys.exit(vectors.main(["--corpus", sys.argv[2], "--batch-size", "1"]))
"""


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a container answered on a processor."""

    health: dict[str, Any]
    vectors: Vectors
    log: str
    status: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Images, the host's reference vectors, and an engine to run containers in."""

    checkout: Project
    client: DockerClient
    shared: Shared
    reporter: Reporter
    scratch: Path

    def cell(self, model: str, platform: str) -> Cell:
        return plan.cell(self.checkout.matrix, "llama-cpp", model, platform)

    def started(self, processor: Processor, model: str, words: Sequence[str]) -> Container:
        """A container in which Python runs on a processor, with a few short texts to embed."""
        path = self.shared.engine.environment["PATH"]
        emulator = shutil.which(EMULATORS[processor.platform], path=path)
        assert emulator is not None
        return self.container(
            processor.platform,
            model,
            (QEMU, PYTHON, *words),
            mounts=(ReadOnlyMount(source=Path(emulator), target=QEMU),),
            environment={"QEMU_CPU": processor.name},
        )

    def container(
        self,
        platform: str,
        model: str,
        argv: Sequence[str],
        *,
        mounts: tuple[ReadOnlyMount, ...] = (),
        environment: Mapping[str, str] = NOTHING,
    ) -> Container:
        """A container of llama.cpp's image, with a few short texts to embed."""
        cell = self.cell(model, platform)
        image = stages.built(self.checkout, cell, self.shared, self.reporter)
        texts = self.scratch / "corpus.jsonl"
        write_atomically(texts, proof.corpus(self.checkout, cell).emulated().to_jsonl())
        return containers.start(
            self.client,
            engine_images.load(self.client, image.layout),
            platform=platform,
            run=self.shared.run,
            mounts=(*mounts, ReadOnlyMount(source=texts, target=smoke_cell.CORPUS)),
            # llama.cpp's threads wait for each other by spinning, which busy cores pay for.
            environment={**environment, "EMBEDDING_THREADS": "1"},
            argv=tuple(argv),
        )

    def serve(self, processor: Processor, model: str) -> Served:
        client = (PYTHON, "-m", "embedding_service.client")
        patience = EMULATED
        limit = str(patience.ready)
        with self.started(processor, model, ("-m", "embedding_service")) as container:
            ready = container.execute(
                (*client, "wait", "--timeout", limit), timeout=patience.ready + 60
            )
            assert ready.returncode == 0, (ready.stderr, container.logs())
            embedded = container.execute(
                (*client, "embed", "--corpus", smoke_cell.CORPUS), timeout=patience.vectors
            )
            assert embedded.returncode == 0, (embedded.stderr, container.logs())
            cell = self.cell(model, processor.platform)
            ids = proof.corpus(self.checkout, cell).emulated().ids
            return Served(
                health=json.loads(ready.stdout),
                vectors=parse(embedded.stdout, ids, where=f"{model} on {processor.name}"),
                log=container.logs(),
                status=container.stop(timeout=patience.stop),
            )

    def forced(self, processor: Processor, model: str, variant: str) -> int:
        """The exit status of a Python that embeds with a variant, whether or not it fits."""
        words = ("-c", FORCED, variant, smoke_cell.CORPUS)
        with self.started(processor, model, words) as container:
            return container.wait(timeout=EMULATED.vectors)

    def forced_here(self, model: str, variant: str) -> int:
        """The same on this machine's own processor."""
        argv = (PYTHON, "-c", FORCED, variant, smoke_cell.CORPUS)
        with self.container(self.shared.engine.native, model, argv) as container:
            return container.wait(timeout=NATIVE.vectors)

    def reference(self, model: str) -> Vectors:
        cell = self.cell(model, self.shared.engine.native)
        return stages.referenced(self.checkout, cell, self.shared, self.reporter)


@pytest.fixture(scope="module")
def bench(
    private: Engine, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    checkout = project.load()
    cells = [
        plan.cell(checkout.matrix, "llama-cpp", model, platform)
        for model in (FLOAT32, Q8_0)
        for platform in EMULATORS
    ]
    with (
        report.reporter([]) as reporter,
        mark(cache) as run,
        connect(private.environment) as client,
    ):
        shared = Shared(
            engine=private,
            run=run.id,
            options=Options(jobs=1, rebuild=False, reprove=False),
            debian=stages.fetch(checkout, cells, private.native, reporter),
            bases=Once(),
            references=Once(),
        )
        yield Bench(
            checkout=checkout,
            client=client,
            shared=shared,
            reporter=reporter,
            scratch=tmp_path_factory.mktemp("texts"),
        )


@pytest.mark.parametrize(
    ("processor", "model"), RUNS, ids=lambda each: each if isinstance(each, str) else each.name
)
def test_each_takes_its_variant_and_computes_right(
    bench: Bench, processor: Processor, model: str
) -> None:
    served = bench.serve(processor, model)
    assert served.health["runtime"]["cpu_variant"] == processor.variant
    assert f"cpu_variant: {processor.variant}" in served.log
    tolerance = bench.checkout.matrix.tolerances[served.vectors.precision]
    checks = parity.compare(bench.reference(model), served.vectors, tolerance)
    figures = ", ".join(f"{check.name} {check.figure:.3g}" for check in checks)
    sys.stdout.write(f"{processor.name}, {processor.variant}, {model}: {figures}\n")
    assert [check for check in checks if not check.passed] == []
    assert served.status == 0


@pytest.mark.parametrize(
    ("old", "new"), [(NEHALEM, HASWELL), (CORTEX_A53, NEOVERSE_N1)], ids=lambda each: each.name
)
def test_the_newer_variant_would_die_on_the_older_processor(
    bench: Bench, old: Processor, new: Processor
) -> None:
    """So the older one is emulated without the newer one's instructions, and the choice matters.

    That the newer variant computes on the newer processor, and all else runs on the older one, is
    shown above.
    """
    assert bench.forced(old, Q8_0, new.variant) == ILLEGAL_INSTRUCTION


def test_a_variant_by_force_computes_where_it_fits(bench: Bench) -> None:
    """It is not the force that ends the process: every processor here can run the oldest."""
    oldest = {each.platform: each.variant for each in (NEHALEM, CORTEX_A53)}
    assert bench.forced_here(Q8_0, oldest[bench.shared.engine.native]) == 0
