"""A model from a hub, end to end: its entry, the fetch, and an image that is built without the hub.

The hub is a small one on loopback; huggingface_hub, the program and the engine are the real ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from signal import SIGINT

import pytest

from builders import model, publication, verdict
from builders.cli import INTERRUPTED
from builders.engine import Engine
from builders.errors import CellsFailedError, SelectionError
from tests.system import checkouts
from tests.system.checkouts import AMD64, Checkout
from tests.unit import hub_server
from tests.unit.checkpoints import original_nomic
from tests.unit.hub_server import COMMIT, HubServer

pytestmark = pytest.mark.engine

NAME = "hub-model"
PLACE = f"Owner/Model@{COMMIT}"
CELL = f"onnxruntime-{NAME}-linux-amd64"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    place = original_nomic(tmp_path_factory.mktemp("repository") / "model")
    (place / "README.md").write_text("---\nlicense: gemma\n---\n", encoding="utf-8")
    files = {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }
    with hub_server.running({"Owner/Model": files}) as running:
        yield running


@pytest.fixture(scope="module")
def checkout(store: Path, private: Engine, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    scratch = tmp_path_factory.mktemp("real")
    checkouts.links(store, scratch / "cache" / "store")
    return checkouts.copy(
        scratch / "checkout", scratch / "cache", checkouts.environment_of(private)
    )


def run(checkout: Checkout, server: HubServer, *words: str, status: int = 0) -> str:
    """Run another command than `build-matrix`, with that hub."""
    argv = (sys.executable, "-m", "builders", *words)
    with checkout.running(argv=argv, variables=hub(checkout, server)) as running:
        assert running.wait() == status, running.output
        return running.output


def hub(checkout: Checkout, server: HubServer) -> Mapping[str, str]:
    return {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(checkout.cache / "hub")}


def build(checkout: Checkout, *, status: int) -> str:
    """Build the model's image; any word with the hub would fail, and be seen."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(checkout.cache / "none")}
    with checkout.running(*AMD64, "--model", NAME, variables=nowhere) as running:
        assert running.wait(900) == status, running.output
        return running.output


def published(checkout: Checkout) -> str | None:
    place = checkout.root / "dist" / "images"
    return publication.published_digest(place, f"equivec/onnxruntime-{NAME}", "linux/amd64")


def test_a_model_goes_from_a_hub_into_an_image(checkout: Checkout, server: HubServer) -> None:
    """One story: each step is what the one before it said to do."""
    matrix = checkout.root / "matrix.yaml"
    before = matrix.read_text(encoding="utf-8")
    dry = run(checkout, server, "model", "add", PLACE, "--name", NAME, "--dry-run")
    assert f"  {NAME}:\n    source: hub:{PLACE}\n    licence: LicenseRef-Gemma\n" in dry
    assert matrix.read_text(encoding="utf-8") == before
    said = run(checkout, server, "model", "add", PLACE, "--name", NAME)
    assert f"next: `nox -s fetch -- --model {NAME}`" in said

    reason = f"needs the hub: `nox -s fetch -- --model {NAME}`"
    assert reason in build(checkout, status=SelectionError.exit_code)

    lock = model.lock_path(checkout.root, NAME)
    fetch = (sys.executable, "-m", "builders", "fetch", "--model", NAME)
    server.held.set()
    with checkout.running(argv=fetch, variables=hub(checkout, server)) as interrupted:
        interrupted.until("model.safetensors from Owner/Model")
        interrupted.signal(SIGINT)
        try:
            assert interrupted.wait(20) == INTERRUPTED, interrupted.output
        finally:
            server.held.clear()
    assert not lock.exists()
    assert not list((checkout.cache / "partial").iterdir())
    assert not list((checkout.cache / "hub").rglob("*.incomplete"))

    fetched = run(checkout, server, "fetch", "--model", NAME)
    assert "pins confirmed; images/models/hub-model.json written: commit it" in fetched
    assert set(json.loads(lock.read_bytes())["formats"]) == {
        "onnx",
        "sentence-transformers",
        "gguf",
    }
    asked = len(server.asked)
    again = run(checkout, server, "fetch", "--model", NAME)
    assert "every file is what its lock says" in again
    assert len(server.asked) == asked

    withheld = build(checkout, status=CellsFailedError.exit_code)
    assert f"not published: the weights of {NAME} are under LicenseRef-Gemma" in withheld
    judged = verdict.read(checkout.root / "dist" / "verdicts" / f"{CELL}.json")
    assert judged.passed
    assert published(checkout) is None

    accepted = f"accept_licences: [LicenseRef-Gemma]\n{matrix.read_text(encoding='utf-8')}"
    matrix.write_text(accepted, encoding="utf-8")
    assert "unchanged" in build(checkout, status=0)
    assert published(checkout) == judged.subject.digest
    assert len(server.asked) == asked
