"""The gate of float32 holds back what is wrong in kind, and lets through what is right.

Real vectors of the real backend, of the fixture model and of what can go wrong with it. Each wrong
model claims to be in the reference's vector space: else the comparison would be refused outright.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from builders import corpus, fixture, matrix, parity, space, vectors
from builders.corpus import Corpus
from builders.errors import ReferenceVectorsError
from builders.files import sha256_of, tree_digests
from builders.fixture import onnx_graph as fixture_onnx
from builders.fixture.weights import weights
from builders.matrix import Matrix, Tolerance
from builders.vectors import Vectors

ROOT = Path(__file__).resolve().parents[2]
NAME = "fixture-768"

EVERY = {"parity:max-abs-difference", "parity:distance", "parity:overlap-at-10"}

Embed = Callable[..., Vectors]


@pytest.fixture(scope="module")
def described() -> Matrix:
    return matrix.load(ROOT / "matrix.yaml")


@pytest.fixture(scope="module")
def texts() -> Corpus:
    return corpus.read(ROOT / "tests" / "corpus" / "corpus.jsonl")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, described: Matrix) -> Path:
    directory = tmp_path_factory.mktemp("models") / "right"
    fixture.write(NAME, "onnx", directory)
    recipe = space.recipe(
        NAME, described.models[NAME], file_format="onnx", files=tree_digests(directory)
    )
    (directory / "model.json").write_text(recipe.to_json(), encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def embed(tmp_path_factory: pytest.TempPathFactory, texts: Corpus) -> Embed:
    """Embeds the corpus as the host's reference is made: the same command and backend file."""
    scratch = tmp_path_factory.mktemp("vectors")
    file = scratch / "corpus.jsonl"
    file.write_bytes(texts.to_jsonl())

    def run(model: Path, *, batch_size: int = 1) -> Vectors:
        path = (ROOT / "images" / "service", ROOT / "images" / "onnxruntime")
        document = subprocess.run(
            [
                *(sys.executable, "-m", "embedding_service.vectors"),
                *("--corpus", file, "--batch-size", str(batch_size)),
            ],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, path)),
                "EMBEDDING_MODEL_DIR": str(model),
            },
            check=True,
            stdout=subprocess.PIPE,
            timeout=120,
        ).stdout
        return vectors.parse(document, texts.ids, where=model.name)

    return run


@pytest.fixture(scope="module")
def reference(model: Path, embed: Embed) -> Vectors:
    return embed(model)


def changed(model: Path, target: Path, **changes: Any) -> Path:
    """A copy of a model whose recipe says something else; its files' digests are kept right."""
    shutil.copytree(model, target)
    recipe = json.loads((model / "model.json").read_text("utf-8"))
    (target / "model.json").write_text(json.dumps({**recipe, **changes}), encoding="utf-8")
    return target


@dataclass(frozen=True, kw_only=True)
class Gate:
    """matrix.yaml's limits for float32."""

    tolerance: Tolerance
    emulated: tuple[str, ...]

    def failures(self, reference: Vectors, candidate: Vectors) -> set[str]:
        checks = parity.compare(reference, candidate, self.tolerance)
        return {check.name for check in checks if not check.passed}

    def emulated_failures(self, reference: Vectors, candidate: Vectors) -> set[str]:
        """Likewise of the few texts that an emulated container would have embedded."""
        rows = [candidate.ids.index(identifier) for identifier in self.emulated]
        few = replace(candidate, ids=self.emulated, matrix=candidate.matrix[rows])
        return self.failures(reference, few)


@pytest.fixture(scope="module")
def gate(described: Matrix, texts: Corpus) -> Gate:
    return Gate(tolerance=described.tolerances["float32"], emulated=texts.emulated().ids)


def test_right_model_passes(gate: Gate, reference: Vectors, model: Path, embed: Embed) -> None:
    again = embed(model)
    assert gate.failures(reference, again) == set()
    assert gate.emulated_failures(reference, again) == set()


def test_batches_pass(gate: Gate, reference: Vectors, model: Path, embed: Embed) -> None:
    assert gate.failures(reference, embed(model, batch_size=32)) == set()


def test_wrong_pooling_fails(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    wrong = embed(changed(model, tmp_path / "cls", pooling="cls"))
    assert gate.failures(reference, wrong) == EVERY
    assert gate.emulated_failures(reference, wrong) == EVERY


def test_missing_normalisation_fails(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    """Directions are right, and so is the ranking by cosine: only the vectors as served show it."""
    wrong = embed(changed(model, tmp_path / "long", normalize=False))
    assert gate.failures(reference, wrong) == {"parity:max-abs-difference"}
    assert gate.emulated_failures(reference, wrong) == {"parity:max-abs-difference"}


def test_missing_prefix_fails(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    prefixed = embed(changed(model, tmp_path / "prefix", default_prompt="document"))
    assert gate.failures(prefixed, reference) == EVERY
    assert gate.emulated_failures(prefixed, reference) == EVERY


def test_another_model_fails(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    wrong = embed(another_model(model, tmp_path / "other"))
    assert gate.failures(reference, wrong) == EVERY
    assert gate.emulated_failures(reference, wrong) == EVERY


def test_another_model_that_says_so_is_refused(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    other = another_model(model, tmp_path / "other", vector_space=f"sha256:{'b' * 64}")
    with pytest.raises(ReferenceVectorsError, match="different spaces"):
        gate.failures(reference, embed(other))


def another_model(model: Path, target: Path, **changes: Any) -> Path:
    """The same architecture and tokenizer with other weights."""
    changed(model, target)
    architecture = fixture.fixture(NAME).architecture
    with (target / "model.onnx").open("wb") as file:
        file.writelines(fixture_onnx.chunks("other", architecture, weights("other", architecture)))
    files = {name: sha256_of(target / name) for name in ("model.onnx", "tokenizer.json")}
    recipe = json.loads((target / "model.json").read_text("utf-8"))
    (target / "model.json").write_text(json.dumps({**recipe, "files": files, **changes}))
    return target
