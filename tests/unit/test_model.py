"""Model directories: what a backend loads is what the lock says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from builders import model
from builders.errors import LockError, ModelError
from builders.files import sha256_of
from builders.matrix import load
from builders.paths import ROOT
from builders.pretrained.source import is_fetched
from builders.project import Project
from builders.space import vector_space
from builders.store import Store

NAME = "fixture-bert-384"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "checkout"
    (root / "images" / "models").mkdir(parents=True)
    shutil.copy(model.lock_path(ROOT, NAME), model.lock_path(root, NAME))
    return Project(root=root, matrix=load(ROOT / "matrix.yaml"), store=Store(tmp_path / "cache"))


def test_the_directory_holds_the_locked_files_and_the_recipe(project: Project) -> None:
    made = model.directory(project, NAME, "onnx")

    found = {path.name: sha256_of(path) for path in made.path.iterdir()}
    assert found == dict(made.files)
    assert made.size == sum(path.stat().st_size for path in made.path.iterdir())
    recipe = json.loads((made.path / "model.json").read_text("utf-8"))
    assert recipe["dimension"] == 384
    assert recipe["vector_space"] == vector_space(project.matrix.models[NAME])
    assert set(recipe["files"]) == set(found) - {"model.json"}
    assert model.directory(project, NAME, "onnx") == made


def test_the_committed_locks_are_of_every_model() -> None:
    matrix = load(ROOT / "matrix.yaml")
    for name, entry in matrix.models.items():
        if is_fetched(entry) and not model.lock_path(ROOT, name).exists():
            continue  # its first fetch writes it
        assert set(model.read_lock(ROOT, name).formats) == set(entry.formats)


def test_a_missing_lock_says_how_to_write_it(project: Project) -> None:
    model.lock_path(project.root, NAME).unlink()

    with pytest.raises(LockError, match=r"has no lock\n.*nox -s lock"):
        model.directory(project, NAME, "onnx")


@pytest.mark.parametrize("text", ["{}", "[", '{"formats": {"onnx": {"a": {"sha256": "1"}}}}'])
def test_a_malformed_lock_is_refused(project: Project, text: str) -> None:
    model.lock_path(project.root, NAME).write_text(text, encoding="utf-8")

    with pytest.raises(LockError, match="malformed"):
        model.directory(project, NAME, "onnx")


@pytest.mark.parametrize("change", ["altered", "too many", "too few"])
def test_a_model_that_is_not_what_its_lock_says_leaves_nothing(
    project: Project, change: str
) -> None:
    path = model.lock_path(project.root, NAME)
    lock = json.loads(path.read_text("utf-8"))
    files = lock["formats"]["onnx"]
    if change == "altered":
        files["model.onnx"]["sha256"] = "0" * 64
    elif change == "too many":
        del files["tokenizer.json"]
    else:
        files["extra.bin"] = {"sha256": "0" * 64, "size": 1}
    path.write_text(json.dumps(lock), encoding="utf-8")

    with pytest.raises(ModelError, match=f"model {NAME} is not what its lock says"):
        model.directory(project, NAME, "onnx")

    assert not list((project.store.cache / "derived").rglob("model.onnx"))


def test_other_weights_than_declared_cannot_be_locked(project: Project, tmp_path: Path) -> None:
    entry = project.matrix.models[NAME].model_copy(update={"weights": f"sha256:{'0' * 64}"})
    matrix = project.matrix.model_copy(update={"models": {NAME: entry}})

    with pytest.raises(ModelError, match=rf"models\.{NAME}.*its weights are sha256:"):
        model.make_lock(matrix, NAME, tmp_path / "scratch")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"preprocessor": f"sha256:{'0' * 64}"}, r"its preprocessor is sha256:(?!0000)"),
        ({"tokenizer": f"sha256:{'0' * 64}"}, r"its tokenizer is sha256:(?!0000)"),
    ],
)
def test_another_part_than_declared_cannot_be_locked(
    project: Project, tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    name = "fixture-siglip"
    entry = project.matrix.models[name].model_copy(update=change)
    matrix = project.matrix.model_copy(update={"models": {name: entry}})

    with pytest.raises(ModelError, match=rf"models\.{name}.*{problem}"):
        model.make_lock(matrix, name, tmp_path / "scratch")


def test_a_model_without_the_preprocessor_it_declares_cannot_be_locked(
    project: Project, tmp_path: Path
) -> None:
    entry = project.matrix.models[NAME].model_copy(update={"preprocessor": f"sha256:{'0' * 64}"})
    matrix = project.matrix.model_copy(update={"models": {NAME: entry}})

    with pytest.raises(ModelError, match=r"it has no preprocessor_config\.json"):
        model.make_lock(matrix, NAME, tmp_path / "scratch")


def test_a_backend_that_reads_no_format_is_refused(project: Project) -> None:
    with pytest.raises(ModelError, match="reads no format"):
        model.directory(project, NAME, None)


def test_a_lock_without_the_format_says_how_to_write_it(project: Project) -> None:
    path = model.lock_path(project.root, NAME)
    lock = json.loads(path.read_text("utf-8"))
    del lock["formats"]["gguf"]
    path.write_text(json.dumps(lock), encoding="utf-8")

    assert model.directory(project, NAME, "onnx").files
    with pytest.raises(LockError, match=rf"the lock of model {NAME} has no format gguf\n.*`nox"):
        model.directory(project, NAME, "gguf")
