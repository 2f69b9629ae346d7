"""What answers for a model that an API serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders import matrix, model, plan, upstream
from builders.corpus import Corpus
from builders.errors import SmokeError
from builders.matrix import Matrix
from builders.paths import ROOT
from builders.plan import Cell
from builders.smoke import upstream as containers
from builders.smoke.subject import NATIVE, Subject
from tests.unit.test_smoke_cell import CELL as FACTS

MATRIX = matrix.load(ROOT / "matrix.yaml")
API = MATRIX.models["fixture-768-api"]


def cell(backend: str, name: str, found: Matrix = MATRIX) -> Cell:
    return plan.cell(found, backend, name, "linux/arm64")


def asking(source: str, **changes: object) -> Matrix:
    """A matrix whose model asks another API."""
    models = {**MATRIX.models, "fixture-768-api": API.model_copy(update={"source": source})}
    return MATRIX.model_copy(update={"models": models, **changes})


def test_the_anchor_answers_on_the_platform_that_is_asked_for() -> None:
    for platform in ("linux/amd64", "linux/arm64", "darwin/arm64"):
        found = upstream.cell_of(MATRIX, cell("openai", "fixture-768-api"), platform)
        assert found is not None
        expected = ("onnxruntime", "fixture-768", platform)
        assert (found.backend, found.model, found.platform) == expected


def test_a_model_with_weights_asks_nobody() -> None:
    assert upstream.cell_of(MATRIX, cell("onnxruntime", "fixture-768"), "linux/amd64") is None
    assert upstream.name_of(MATRIX.models["fixture-768"]) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (asking("openai:text-embedding-3-small"), "it is no model of matrix.yaml"),
        (asking("openai:fixture-768", anchor=None), "there is no anchor to serve it"),
        (asking("openai:fixture-768-f16"), "onnxruntime, has no format of fixture-768-f16"),
    ],
)
def test_an_api_that_nothing_here_can_answer_for(found: Matrix, said: str) -> None:
    with pytest.raises(SmokeError, match=said) as caught:
        upstream.cell_of(found, cell("openai", "fixture-768-api", found), "linux/amd64")
    assert caught.value.where == "openai-fixture-768-api-linux-arm64"


def test_the_directory_says_what_the_api_calls_the_model(tmp_path: Path) -> None:
    upstream.write(API, tmp_path / "model")
    (file,) = (tmp_path / "model").iterdir()
    assert json.loads(file.read_text()) == {"model": "fixture-768"}
    made = model.make_lock(MATRIX, "fixture-768-api", tmp_path)
    assert made == model.read_lock(ROOT, "fixture-768-api")


def test_only_who_asks_is_told_of_an_api(tmp_path: Path) -> None:
    asks = Subject(
        digest="sha256:1",
        cell=FACTS,
        corpus=Corpus(texts=()),
        shell=tmp_path,
        records=tmp_path,
        patience=NATIVE,
        upstream="sha256:2",
    )
    assert containers.address(asks)["EMBEDDING_OPENAI_BASE_URL"] == "http://127.0.0.1:8081/v1"
    alone = Subject(**{**vars(asks), "upstream": None})
    assert containers.address(alone) == {}
