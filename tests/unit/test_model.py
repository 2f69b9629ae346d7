"""Model directories that are not what their lock says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import model, project
from builders.errors import LockError, ModelError
from builders.paths import ROOT
from builders.project import Project
from builders.store import Store

NAME = "fixture-bert-384"


@pytest.fixture
def checkout(tmp_path: Path) -> Project:
    """A checkout with the committed lock of one model, and an empty cache."""
    root = tmp_path / "checkout"
    (root / "images" / "models").mkdir(parents=True)
    shutil.copy(model.lock_path(ROOT, NAME), model.lock_path(root, NAME))
    matrix = project.load(ROOT).matrix
    return Project(root=root, matrix=matrix, store=Store(tmp_path / "cache"))


def locked(checkout: Project, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
    """Change what the lock says of the ONNX files."""
    path = model.lock_path(checkout.root, NAME)
    document = json.loads(path.read_bytes())
    change(document["formats"]["onnx"])
    path.write_text(json.dumps(document))


def test_the_committed_lock_is_what_is_made(checkout: Project) -> None:
    made = model.directory(checkout, NAME, "onnx")
    assert {path.name for path in made.path.iterdir()} == {*made.files}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda files: files.pop("tokenizer.json"), "tokenizer.json"),
        (lambda files: files.update({"vocab.txt": files["tokenizer.json"]}), "vocab.txt"),
        (lambda files: files["model.onnx"].update(sha256="0" * 64), "model.onnx"),
    ],
    ids=["a file too many", "a file too few", "an altered file"],
)
def test_a_directory_of_another_lock_is_refused(
    checkout: Project, change: Callable[[dict[str, dict[str, object]]], None], named: str
) -> None:
    locked(checkout, change)
    with pytest.raises(ModelError, match=named):
        model.directory(checkout, NAME, "onnx")
    assert list((checkout.store.cache / "derived" / "models").iterdir()) == []


def test_a_model_without_lock_is_named(checkout: Project) -> None:
    model.lock_path(checkout.root, NAME).unlink()
    with pytest.raises(LockError, match=NAME):
        model.directory(checkout, NAME, "onnx")


def test_a_malformed_lock_is_named(checkout: Project) -> None:
    locked(checkout, lambda files: files["model.onnx"].update(sha256="short"))
    with pytest.raises(LockError, match="sha256"):
        model.directory(checkout, NAME, "onnx")
