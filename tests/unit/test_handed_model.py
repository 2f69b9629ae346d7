"""A model's directory that is handed over: whole, or with what the service fetches left out."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from builders import fixture, handed_model, model
from builders.commands import model as command
from builders.errors import ModelError, SelectionError
from builders.files import sha256_of, tree_digests
from builders.matrix import load
from builders.paths import ROOT
from builders.pretrained import fetching
from builders.pretrained.hub import Hub
from builders.project import Project
from builders.store import Store
from embedding_service import recipe as recipes
from embedding_service.settings import Settings
from embedding_service.supply import completion
from tests.unit import hub_server
from tests.unit.hub_server import COMMIT

NAME = "fixture-bert-384"
FILES = ("model.onnx", "tokenizer.json")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "checkout"
    (root / "images" / "models").mkdir(parents=True)
    shutil.copy(model.lock_path(ROOT, NAME), model.lock_path(root, NAME))
    return Project(root=root, matrix=load(ROOT / "matrix.yaml"), store=Store(tmp_path / "cache"))


def on_hub(project: Project, written: Path) -> Project:
    """Return the checkout with the same model, as one whose ONNX file a hub has."""
    entry = project.matrix.models[NAME]
    pins = {name: {"sha256": sha256_of(written / name)} for name in FILES}
    pins["model.onnx"]["path"] = "onnx/model.onnx"
    changed = type(entry).model_validate(
        {
            **entry.model_dump(),
            "source": f"hub:owner/model@{COMMIT}",
            "formats": ("onnx",),
            "files": pins,
        }
    )
    model.lock_path(project.root, NAME).unlink()
    return dataclasses.replace(
        project, matrix=project.matrix.model_copy(update={"models": {NAME: changed}})
    )


def test_a_whole_directory_is_what_an_image_has(project: Project, tmp_path: Path) -> None:
    handed = handed_model.hand(project, NAME, "onnx", tmp_path / "handed")

    made = model.directory(project, NAME, "onnx")
    assert tree_digests(tmp_path / "handed") == dict(made.files)
    assert set(handed.files) == {*FILES, "model.json"}
    assert handed.left_out == ()


def test_no_hub_has_what_is_generated(project: Project) -> None:
    assert not handed_model.fetchable(project, NAME, "onnx")


@pytest.mark.parametrize("content", ["a directory", "a file"])
def test_what_is_there_is_not_overwritten(project: Project, tmp_path: Path, content: str) -> None:
    target = tmp_path / "handed"
    if content == "a directory":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.touch()

    with pytest.raises(ModelError, match="is not an empty directory"):
        handed_model.hand(project, NAME, "onnx", target)


def test_what_is_left_out_the_service_fetches(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixture.write(NAME, "onnx", tmp_path / "written")
    checkout = on_hub(project, tmp_path / "written")
    content = {name: (tmp_path / "written" / name).read_bytes() for name in FILES}
    files = {"onnx/model.onnx": content["model.onnx"], "tokenizer.json": content["tokenizer.json"]}
    with hub_server.running({"owner/model": files}) as server:
        fetching.fetch(checkout, NAME, Hub(endpoint=server.endpoint, cache=tmp_path / "hub"))
        without = handed_model.fetchable(checkout, NAME, "onnx")
        # Somebody who has the lock, and has fetched nothing.
        elsewhere = dataclasses.replace(checkout, store=Store(tmp_path / "other"))
        handed = handed_model.hand(elsewhere, NAME, "onnx", tmp_path / "handed", without=without)
        assert (handed.files, set(handed.left_out)) == (("model.json",), set(FILES))
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("PYTHONPATH", str(ROOT / "images" / "service"))

        settings = dataclasses.replace(
            Settings.of_variables({}), allow_fetch=True, cache_dir=tmp_path / "volume"
        )
        recipe = recipes.read(tmp_path / "handed")
        whole = completion.complete(tmp_path / "handed", recipe, settings)

    recipes.verify(whole, recipe)
    assert tree_digests(whole) == dict(model.directory(checkout, NAME, "onnx").files)


def test_the_command_takes_a_format_of_the_model() -> None:
    entry = load(ROOT / "matrix.yaml").models["fixture-768"]
    assert command._format(entry, None) == "onnx"
    assert command._format(entry, "gguf") == "gguf"
    with pytest.raises(SelectionError, match=r"no format 'ggfu'; did you mean 'gguf'\?"):
        command._format(entry, "ggfu")
