from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from builders import corpus, matrix, plan, reference, vectors
from builders.corpus import Corpus, Text
from builders.errors import ReferenceVectorsError
from builders.plan import Cell
from builders.project import Project
from builders.reference import Embedding
from builders.selection import Selection
from builders.store import Store
from tests.unit.service.tiny_model import unit_mean, write_model

ROOT = Path(__file__).resolve().parents[2]
TEXTS = Corpus(
    texts=(
        Text(id="one", text="alpha", emulated=True),
        Text(id="two", text="alpha beta", emulated=False),
    )
)


@pytest.fixture
def embedding(tmp_path: Path) -> Embedding:
    return Embedding(
        name="onnxruntime with tiny",
        python=Path(sys.executable),
        service=ROOT / "images" / "service",
        backend=ROOT / "images" / "onnxruntime",
        model=write_model(tmp_path / "model"),
        corpus=TEXTS,
    )


def test_real_backend_embeds_one_text_at_a_time(embedding: Embedding, tmp_path: Path) -> None:
    reference.embed(embedding, tmp_path)
    made = vectors.read(tmp_path / "vectors.json", TEXTS.ids)
    expected = [unit_mean("[CLS]", *text.text.split(), "[SEP]") for text in TEXTS.texts]
    assert np.abs(made.matrix - np.stack(expected)).max() < 1e-6
    assert (made.backend, made.model, made.batch_size) == ("onnxruntime", "tiny", 1)


def test_failure_shows_what_the_service_said(embedding: Embedding, tmp_path: Path) -> None:
    (embedding.model / "tokenizer.json").unlink()
    with pytest.raises(ReferenceVectorsError, match=r"lacks tokenizer\.json") as caught:
        reference.embed(embedding, tmp_path)
    assert caught.value.where == "onnxruntime with tiny"
    assert caught.value.remedy


def test_environment_is_not_the_users(embedding: Embedding) -> None:
    environment = reference.embed_environment(
        embedding, {"HOME": "/h", "PATH": "/p", "EMBEDDING_THREADS": "7", "PYTHONPATH": "/mine"}
    )
    assert environment["PATH"] == "/p"
    assert environment["EMBEDDING_THREADS"] == "1"
    assert environment["PYTHONPATH"] == f"{embedding.service}:{embedding.backend}"
    assert environment["EMBEDDING_MODEL_DIR"] == str(embedding.model)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout with a corpus of its own."""
    root = tmp_path / "checkout"
    for folder in ("service", "onnxruntime", "models"):
        shutil.copytree(ROOT / "images" / folder, root / "images" / folder)
    lines = [{"id": text.id, "text": text.text, "kind": "word"} for text in TEXTS.texts]
    file = root / corpus.COMMITTED
    file.parent.mkdir(parents=True)
    file.write_text("".join(f"{json.dumps({**line, 'emulated': True})}\n" for line in lines))
    return Project(
        root=root, matrix=matrix.load(ROOT / "matrix.yaml"), store=Store(tmp_path / "cache")
    )


@pytest.fixture
def cell(project: Project) -> Cell:
    cells = plan.plan(project.matrix, Selection(all=True), "linux/amd64").cells
    return next(cell for cell in cells if cell.model == "fixture-768")


def add_line(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text('utf-8')}{line}\n", encoding="utf-8")


CHANGES: dict[str, Callable[[Path], None]] = {
    "backend": lambda root: add_line(root / "images/onnxruntime/backend.py", "# changed"),
    "service": lambda root: add_line(
        root / "images/service/embedding_service/contract.py", "# changed"
    ),
    "corpus": lambda root: add_line(
        root / corpus.COMMITTED, '{"id": "three", "kind": "word", "text": "gamma"}'
    ),
}


def test_vectors_are_made_once_and_anew_for_each_change(project: Project, cell: Cell) -> None:
    made = project.store.cache / "derived" / "references"
    first = reference.vectors(project, cell, Path(sys.executable))
    again = reference.vectors(project, cell, Path(sys.executable))
    assert first.ids == TEXTS.ids
    assert first.matrix.tolist() == again.matrix.tolist()
    assert len(list(made.iterdir())) == 1
    for number, change in enumerate(CHANGES.values(), start=2):
        change(project.root)
        reference.vectors(project, cell, Path(sys.executable))
        assert len(list(made.iterdir())) == number


def test_unusable_vectors_are_not_kept(project: Project, cell: Cell) -> None:
    """A backend that fails only for one text, after others have gone well."""
    backend = project.root / "images" / "onnxruntime" / "backend.py"
    text = backend.read_text("utf-8")
    marker = "        fields = padded(inputs)\n"
    broken = "        if inputs[0].content == 'alpha beta':\n            inputs = []\n"
    assert marker in text
    backend.write_text(text.replace(marker, broken + marker), encoding="utf-8")
    with pytest.raises(ReferenceVectorsError, match="two"):
        reference.vectors(project, cell, Path(sys.executable))
    assert list((project.store.cache / "derived" / "references").iterdir()) == []
