"""Every gate of matrix.yaml holds back what is wrong in kind, and lets through what is right.

Real vectors of a real backend, of a fixture model and of what can go wrong with it. Each wrong
model claims to be in the reference's vector space: else the comparison would be refused outright.
llama.cpp's arithmetic is written into the model that onnxruntime computes: see `arithmetic`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from builders import anchor, corpus, fixture, matrix, parity, plan, space, vectors
from builders.conversion import onnx_graph as fixture_onnx
from builders.conversion.onnx_file import Chunk
from builders.corpus import Corpus
from builders.errors import ReferenceVectorsError
from builders.files import sha256_of, tree_digests
from builders.fixture.encoder import TextEncoder
from builders.fixture.weights import weights
from builders.matrix import Matrix, Model, Tolerance
from builders.vectors import Vectors
from tests.parity import arithmetic

ROOT = Path(__file__).resolve().parents[2]

EVERY = {"parity:max-abs-difference", "parity:distance", "parity:overlap-at-10"}

Embed = Callable[..., Vectors]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A cell of the matrix, whose vectors are held against the anchor's."""

    backend: str
    gate: str
    """The model whose limits are tried."""
    described: Matrix

    @property
    def name(self) -> str:
        """The model whose vectors they are tried with."""
        return STAND_INS.get(self.gate, self.gate)

    @property
    def fixture(self) -> TextEncoder:
        return fixture.encoder(self.model.source.removeprefix("fixture:"))

    @property
    def model(self) -> Model:
        return self.described.models[self.name]

    @property
    def tolerance(self) -> Tolerance:
        cell = plan.cell(self.described, self.backend, self.gate, "linux/amd64")
        return anchor.tolerance(self.described, cell)

    def graph(self, weights_of: str) -> Iterable[Chunk]:
        """The model.onnx that computes as the backend does, with the weights of that name."""
        architecture = self.fixture.architecture
        numbers = weights(weights_of, architecture)
        if self.backend == "onnxruntime":
            return fixture_onnx.chunks(weights_of, architecture, numbers)
        return arithmetic.chunks(weights_of, architecture, numbers, self.model.precision)


SUBJECTS = (
    ("onnxruntime", "fixture-768"),
    ("llama-cpp", "fixture-768-f16"),
    ("llama-cpp", "fixture-768-q8-0"),
    ("llama-cpp", "fixture-bert-384"),
    ("llama-cpp", "fixture-bert-384-q8-0"),
    ("llama-cpp", "nomic-embed-text-v1.5-q8-0"),
    ("onnxruntime", "nomic-embed-text-v1.5-onnx-int8"),
    ("llama-cpp", "bge-base-en-v1.5"),
)
"""One for each gate."""

STAND_INS = {
    "nomic-embed-text-v1.5-q8-0": "fixture-768-q8-0",
    "nomic-embed-text-v1.5-onnx-int8": "fixture-768",
    "bge-base-en-v1.5": "fixture-bert-384",
}
"""Of a model whose weights are not here: the fixture that its gates are tried with."""

ONNXRUNTIME = SUBJECTS[0]

PROMPTED = {"prompts": {"document": "search_document: "}, "default_prompt": "document"}


@pytest.fixture(scope="module")
def described() -> Matrix:
    return matrix.load(ROOT / "matrix.yaml")


@pytest.fixture(scope="module")
def texts() -> Corpus:
    return corpus.read(ROOT / "tests" / "corpus" / "corpus.jsonl")


@pytest.fixture(scope="module", params=SUBJECTS, ids="-".join)
def subject(request: pytest.FixtureRequest, described: Matrix) -> Subject:
    backend, name = request.param
    return Subject(backend=backend, gate=name, described=described)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, subject: Subject) -> Path:
    directory = tmp_path_factory.mktemp("models") / "right"
    fixture.write(subject.fixture.name, "onnx", directory)
    with (directory / "model.onnx").open("wb") as file:
        file.writelines(subject.graph(subject.fixture.name))
    return described_by(directory, subject)


@pytest.fixture(scope="module")
def anchor_model(tmp_path_factory: pytest.TempPathFactory, subject: Subject) -> Path:
    directory = tmp_path_factory.mktemp("models") / "anchor"
    fixture.write(subject.fixture.name, "onnx", directory)
    return described_by(directory, subject)


def described_by(directory: Path, subject: Subject) -> Path:
    """Write the model.json."""
    recipe = space.recipe(
        subject.name, subject.model, file_format="onnx", files=tree_digests(directory)
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
def reference(anchor_model: Path, embed: Embed) -> Vectors:
    return embed(anchor_model)


def changed(model: Path, target: Path, **changes: Any) -> Path:
    """A copy of a model whose recipe says something else; its files' digests are kept right."""
    shutil.copytree(model, target)
    recipe = json.loads((model / "model.json").read_text("utf-8"))
    (target / "model.json").write_text(json.dumps({**recipe, **changes}), encoding="utf-8")
    return target


@dataclass(frozen=True, kw_only=True)
class Gate:
    """matrix.yaml's limits for the subject."""

    subject: Subject
    emulated: tuple[str, ...]

    def failures(self, reference: Vectors, candidate: Vectors) -> set[str]:
        checks = parity.compare(reference, candidate, self.subject.tolerance)
        return {check.name for check in checks if not check.passed}

    def emulated_failures(self, reference: Vectors, candidate: Vectors) -> set[str]:
        """Likewise of the few texts that an emulated container would have embedded."""
        rows = [candidate.ids.index(identifier) for identifier in self.emulated]
        few = replace(candidate, ids=self.emulated, matrix=candidate.matrix[rows])
        return self.failures(reference, few)


@pytest.fixture(scope="module")
def gate(subject: Subject, texts: Corpus) -> Gate:
    return Gate(subject=subject, emulated=texts.emulated().ids)


def test_every_gate_has_a_subject(described: Matrix) -> None:
    subjects = [
        Subject(backend=backend, gate=name, described=described) for backend, name in SUBJECTS
    ]
    gates = [
        *described.tolerances.values(),
        *(gate for each in described.backends.values() for gate in each.cross_backend.values()),
    ]
    assert all(gate in [subject.tolerance for subject in subjects] for gate in gates)


def test_right_model_passes(gate: Gate, reference: Vectors, model: Path, embed: Embed) -> None:
    again = embed(model)
    assert gate.failures(reference, again) == set()
    assert gate.emulated_failures(reference, again) == set()


@pytest.mark.parametrize("subject", [ONNXRUNTIME], indirect=True, ids="-".join)
def test_batches_pass(gate: Gate, reference: Vectors, model: Path, embed: Embed) -> None:
    assert gate.failures(reference, embed(model, batch_size=32)) == set()


def test_wrong_pooling_fails(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    other = {"mean": "cls", "cls": "mean"}[gate.subject.model.pooling]
    wrong = embed(changed(model, tmp_path / "pooled", pooling=other))
    assert gate.failures(reference, wrong) == EVERY
    assert gate.emulated_failures(reference, wrong) == EVERY


def test_missing_normalisation_fails(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    """Directions are right, and so is the ranking by cosine: only the vectors as served show it."""
    wrong = embed(changed(model, tmp_path / "long", normalize=False))
    assert gate.failures(reference, wrong) == {"parity:max-abs-difference"}
    assert gate.emulated_failures(reference, wrong) == {"parity:max-abs-difference"}


def test_missing_prompt_fails(
    gate: Gate, anchor_model: Path, model: Path, embed: Embed, tmp_path: Path
) -> None:
    prompted = embed(changed(anchor_model, tmp_path / "prompted", **PROMPTED))
    wrong = embed(model)
    assert gate.failures(prompted, wrong) == EVERY
    assert gate.emulated_failures(prompted, wrong) == EVERY


def test_another_model_fails(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    wrong = embed(another_model(model, tmp_path / "other", gate.subject))
    assert gate.failures(reference, wrong) == EVERY
    assert gate.emulated_failures(reference, wrong) == EVERY


@pytest.mark.parametrize("subject", [ONNXRUNTIME], indirect=True, ids="-".join)
def test_another_model_that_says_so_is_refused(
    gate: Gate, reference: Vectors, model: Path, embed: Embed, tmp_path: Path
) -> None:
    other = another_model(
        model, tmp_path / "other", gate.subject, vector_space=f"sha256:{'b' * 64}"
    )
    with pytest.raises(ReferenceVectorsError, match="different spaces"):
        gate.failures(reference, embed(other))


def another_model(model: Path, target: Path, subject: Subject, **changes: Any) -> Path:
    """The same architecture and tokenizer with other weights."""
    changed(model, target)
    with (target / "model.onnx").open("wb") as file:
        file.writelines(subject.graph("other"))
    files = {name: sha256_of(target / name) for name in ("model.onnx", "tokenizer.json")}
    recipe = json.loads((target / "model.json").read_text("utf-8"))
    (target / "model.json").write_text(json.dumps({**recipe, "files": files, **changes}))
    return target
