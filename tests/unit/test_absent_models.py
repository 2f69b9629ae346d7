"""Models that are not here: what a run does without them, and says of it."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import pytest

from builders import model, report, work
from builders.commands import fetch, lock
from builders.errors import LockError, ModelError, SelectionError
from builders.matrix import Model, ModelFile, load
from builders.paths import ROOT
from builders.plan import cell
from builders.pretrained import fetching
from builders.pretrained.fetching import Fetched
from builders.pretrained.hub import Hub
from builders.project import Project
from builders.store import Store
from tests.unit.checkpoints import BERT, directory

HUB_MODEL = "hub-model"


def hub_model(known: Model) -> Model:
    """Return a model as a hub has it, of the same vector space as another."""
    return known.model_copy(
        update={
            "source": f"hub:owner/model@{'0' * 40}",
            "files": {"model.onnx": ModelFile(), "tokenizer.json": ModelFile()},
        }
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout in which a fetched float32 model is the anchor of a generated one of 8 bits."""
    root = tmp_path / "checkout"
    (root / "images" / "models").mkdir(parents=True)
    matrix = load(ROOT / "matrix.yaml")
    models = {
        HUB_MODEL: hub_model(matrix.models[BERT]),
        f"{BERT}-q8-0": matrix.models[f"{BERT}-q8-0"],
    }
    return Project(
        root=root,
        matrix=matrix.model_copy(update={"models": models}),
        store=Store(tmp_path / "cache"),
    )


def test_a_run_goes_without_an_anchor_that_was_not_fetched_and_says_so(project: Project) -> None:
    quantised = cell(project.matrix, "llama-cpp", f"{BERT}-q8-0", "linux/amd64")
    stream = io.StringIO()
    with report.reporter([quantised.id], stream=stream, environment={}) as reporter:
        found = work._with_what_is_here(project, [quantised], reporter)

    assert set(found.matrix.models) == {f"{BERT}-q8-0"}
    assert f"not held against onnxruntime-{HUB_MODEL}" in stream.getvalue()
    assert f"needs the hub: `nox -s fetch -- --model {HUB_MODEL}`" in stream.getvalue()


def test_a_model_that_is_here_stays(project: Project) -> None:
    assert model.present(project, {}).matrix.models == project.matrix.models


def test_a_lock_without_its_files_is_not_enough(project: Project) -> None:
    gone = {"sha256": "0" * 64, "size": 1}
    text = json.dumps({"formats": {"onnx": {}}, "sources": {"model.onnx": gone}})
    model.lock_path(project.root, HUB_MODEL).write_text(text, encoding="utf-8")

    assert set(model.absent(project)) == {HUB_MODEL}
    with pytest.raises(ModelError, match=f"model {HUB_MODEL} needs the hub"):
        model.directory(project, HUB_MODEL, "onnx")


def test_lock_leaves_fetched_models_alone(project: Project) -> None:
    renewed = lock._models(project)

    assert [renewal.path.stem for renewal in renewed] == [f"{BERT}-q8-0"]


def test_a_model_without_a_lock_says_which_command_writes_it(project: Project) -> None:
    with pytest.raises(LockError, match=f"nox -s fetch -- --model {HUB_MODEL}"):
        model.directory(project, HUB_MODEL, "onnx")


def test_fetch_names_the_models_there_are(
    monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    monkeypatch.setattr("builders.project.load", lambda: project)
    parser = argparse.ArgumentParser()
    fetch.add_arguments(parser)
    with pytest.raises(SelectionError, match=f"did you mean '{HUB_MODEL}'"):
        fetch.run(parser.parse_args(["--model", "hub-modle"]))


def test_a_fetch_tells_what_it_has_pinned(tmp_path: Path, project: Project) -> None:
    place = directory(BERT, tmp_path / "model")
    known = load(ROOT / "matrix.yaml").models[BERT]
    names = ("model.safetensors", "config.json", "tokenizer.json")
    entry = Model.model_validate(
        {
            **known.model_dump(exclude={"known_answers"}),
            "source": f"file:{place}",
            "files": {name: {} for name in names},
        }
    )
    matrix = project.matrix.model_copy(update={"models": {BERT: entry}})
    checkout = Project(root=project.root, matrix=matrix, store=project.store)
    fetched = fetching.fetch(checkout, BERT, Hub())
    lines = fetch.said(BERT, fetched)

    assert lines[0].startswith(f"{BERT}: pins confirmed; ")
    assert lines[0].endswith(f"images/models/{BERT}.json written: commit it")
    sha256 = fetched.lock.sources["config.json"].sha256
    assert f"  config.json: pinned there for the first time: sha256 {sha256}" in lines
    assert len(lines) == 1 + len(names)
    again = Fetched(lock=fetched.lock, written=None, completed=())
    assert fetch.said(BERT, again) == (f"{BERT}: every file is what its lock says",)
