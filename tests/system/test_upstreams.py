"""Containers as each other's upstreams: an image with weights of its own, told to ask others.

The openai image itself is proven against a second container by its smoke tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from builders import plan, project, proof
from builders.corpus import Corpus
from builders.engine import Engine, containers
from builders.engine.containers import Container, ReadOnlyMount
from builders.files import write_atomically
from builders.smoke import cell as smoke_cell
from builders.smoke.subject import NATIVE
from builders.vectors import Vectors, parse
from tests.system.built import Built, built

pytestmark = pytest.mark.engine

CLIENT = ("/usr/bin/python3", "-m", "embedding_service.client")
MODEL = "fixture-768"
FIRST, SECOND = 8081, 8082


@dataclass(frozen=True, kw_only=True)
class Bench:
    """An image in an engine, and texts."""

    image: Built
    corpus: Corpus
    texts: Path

    def started(self, variables: Mapping[str, str], network_of: Container | None) -> Container:
        return containers.start(
            self.image.client,
            self.image.digest,
            platform=self.image.platform,
            run=self.image.run,
            mounts=(ReadOnlyMount(source=self.texts, target=smoke_cell.CORPUS),),
            environment={"EMBEDDING_THREADS": "1", **variables},
            network_of=network_of,
        )

    def vectors(self, container: Container) -> Vectors:
        embedded = container.execute(
            (*CLIENT, "embed", "--corpus", smoke_cell.CORPUS), timeout=NATIVE.vectors
        )
        assert embedded.returncode == 0, (embedded.stderr, container.logs())
        return parse(embedded.stdout, self.corpus.ids, where="the container")


@pytest.fixture(scope="module")
def bench(
    private: Engine, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    checkout = project.load()
    cell = plan.cell(checkout.matrix, "onnxruntime", MODEL, private.native)
    texts = tmp_path_factory.mktemp("texts") / "corpus.jsonl"
    corpus = proof.corpus(checkout, cell).emulated()
    write_atomically(texts, corpus.to_jsonl())
    with built("onnxruntime", MODEL, engine=private, cache=cache) as image:
        yield Bench(image=image, corpus=corpus, texts=texts)


def ready(container: Container) -> dict[str, object]:
    limit = NATIVE.ready
    waited = container.execute((*CLIENT, "wait", "--timeout", str(limit)), timeout=limit + 30)
    assert waited.returncode == 0, (waited.stderr, container.logs())
    health: dict[str, object] = json.loads(waited.stdout)
    return health


def test_any_image_asks_upstreams_and_goes_on_with_the_next(bench: Bench) -> None:
    """The second one has the network namespace that all three share: it outlives the first."""
    with (
        bench.started({"EMBEDDING_SERVER_PORT": str(SECOND)}, None) as second,
        bench.started({"EMBEDDING_SERVER_PORT": str(FIRST)}, second) as first,
    ):
        health = ready(second)
        ready(first)
        space = {
            "vector_space": health["vector_space"],
            "model": MODEL,
            "dimension": health["dimension"],
            "upstreams": [{"url": f"http://127.0.0.1:{port}/v1"} for port in (FIRST, SECOND)],
        }
        variables = {
            "EMBEDDING_PROVIDER": "openai",
            "EMBEDDING_UPSTREAMS": json.dumps([space]),
        }
        with bench.started(variables, second) as asking:
            assert ready(asking)["backend"] == "openai"
            direct = bench.vectors(first)
            assert direct.backend == "onnxruntime"
            through_the_first = bench.vectors(asking)
            assert np.array_equal(through_the_first.matrix, direct.matrix)
            first.stop(timeout=NATIVE.stop)
            through_the_second = bench.vectors(asking)
            assert np.array_equal(through_the_second.matrix, direct.matrix)
            assert f"http://127.0.0.1:{FIRST}/v1 cannot be reached" in asking.logs()
            assert asking.stop(timeout=NATIVE.stop) == 0
