from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import pytest

from builders.errors import SelectionError
from builders.matrix import Matrix, Model, load
from builders.plan import Cell, Plan, plan, runnable, to_json, without
from builders.report import plan_table, terminal
from builders.selection import Selection

ROOT = Path(__file__).parents[2]
ELSEWHERE = "a darwin/arm64 host is needed; this is linux/amd64"


@pytest.fixture
def matrix() -> Matrix:
    return load(Path(__file__).with_name("matrix.yaml"))


def cell(planned: Plan, identifier: str) -> Cell:
    return next(each for each in planned.cells if each.id == f"onnxruntime-{identifier}")


def test_every_cell_is_in_the_plan_in_the_order_of_the_file(matrix: Matrix) -> None:
    planned = plan(matrix, Selection(), "linux/amd64")
    assert [each.id for each in planned.cells] == [
        "onnxruntime-fixture-768-linux-amd64",
        "onnxruntime-fixture-768-linux-arm64",
        "onnxruntime-fixture-768-darwin-arm64",
        "onnxruntime-fixture-bert-384-linux-amd64",
        "onnxruntime-fixture-bert-384-linux-arm64",
        "onnxruntime-fixture-bert-384-darwin-arm64",
    ]
    assert [each.id for each in planned.chosen] == [
        "onnxruntime-fixture-768-linux-amd64",
        "onnxruntime-fixture-768-linux-arm64",
    ]


def test_a_cell_says_what_is_to_be_done(matrix: Matrix) -> None:
    found = cell(plan(matrix, Selection(), "linux/amd64"), "fixture-768-linux-arm64")
    assert found == Cell(
        id="onnxruntime-fixture-768-linux-arm64",
        backend="onnxruntime",
        model="fixture-768",
        platform="linux/arm64",
        kind="image",
        image="equivec/onnxruntime-fixture-768",
        format="onnx",
        runner="linux/arm64",
        native=False,
        selected=True,
        left_out=None,
    )


def test_a_mac_runs_linux_containers_of_its_architecture_natively(matrix: Matrix) -> None:
    planned = plan(matrix, Selection(), "darwin/arm64")
    assert cell(planned, "fixture-768-linux-arm64").native
    assert not cell(planned, "fixture-768-linux-amd64").native
    host = cell(planned, "fixture-768-darwin-arm64")
    assert (host.kind, host.native, host.left_out) == ("host", True, None)


def test_another_host_is_needed(matrix: Matrix) -> None:
    host = cell(plan(matrix, Selection(), "linux/amd64"), "fixture-768-darwin-arm64")
    assert host.left_out == ELSEWHERE
    assert host.selected
    assert host.runner == "darwin/arm64"


def test_what_is_not_selected_stays_with_the_reason(matrix: Matrix) -> None:
    found = cell(plan(matrix, Selection(), "linux/amd64"), "fixture-bert-384-linux-amd64")
    assert found.left_out == "not in the default selection (use --all)"
    assert not found.selected
    selection = Selection(platforms=("linux/arm64",))
    found = cell(plan(matrix, selection, "linux/amd64"), "fixture-768-linux-amd64")
    assert found.left_out == "not selected by --platform linux/arm64"


def test_a_platform_that_a_backend_does_not_list_stays_with_the_reason(matrix: Matrix) -> None:
    backend = matrix.backends["onnxruntime"].model_copy(update={"platforms": ("linux/amd64",)})
    changed = matrix.model_copy(update={"backends": {"onnxruntime": backend}})
    found = cell(plan(changed, Selection(), "linux/amd64"), "fixture-768-linux-arm64")
    assert found.left_out == "onnxruntime is not for linux/arm64: matrix.yaml lists linux/amd64"
    assert found.runner is None


def test_no_common_format_is_a_reason(matrix: Matrix) -> None:
    offered = {"formats": ("sentence-transformers",)}
    models = {"fixture-768": matrix.models["fixture-768"].model_copy(update=offered)}
    changed = matrix.model_copy(update={"models": models})
    found = cell(plan(changed, Selection(), "linux/amd64"), "fixture-768-linux-amd64")
    assert found.left_out == (
        "no common format: onnxruntime reads onnx, and the model is in no such one"
    )
    assert (found.format, found.runner) == (None, None)


def test_a_model_that_a_backend_is_not_for_stays_with_the_reason(matrix: Matrix) -> None:
    reason = {"not_for": {"fixture-768": "it knows better"}}
    backend = matrix.backends["onnxruntime"].model_copy(update=reason)
    changed = matrix.model_copy(update={"backends": {"onnxruntime": backend}})
    planned = plan(changed, Selection(all=True), "linux/amd64")
    found = cell(planned, "fixture-768-linux-amd64")
    assert found.left_out == "onnxruntime is not for fixture-768: it knows better"
    assert found.runner is None
    assert cell(planned, "fixture-bert-384-linux-amd64").left_out is None


@pytest.mark.parametrize("precision", ["float16", "q8_0"])
def test_onnxruntime_has_no_cell_of_a_precision_that_is_only_had_as_gguf(
    matrix: Matrix, precision: str
) -> None:
    entry = matrix.models["fixture-768"].model_dump(exclude={"formats"})
    model = Model.model_validate({**entry, "precision": precision})
    changed = matrix.model_copy(update={"models": {"fixture-768": model}})
    with pytest.raises(SelectionError, match="onnxruntime reads onnx, and the model is in no"):
        runnable(plan(changed, Selection(all=True), "linux/amd64"))


def test_a_backend_gets_the_format_that_it_prefers(matrix: Matrix) -> None:
    formats = ("sentence-transformers", "onnx")
    backend = matrix.backends["onnxruntime"].model_copy(update={"formats": formats})
    changed = matrix.model_copy(update={"backends": {"onnxruntime": backend}})
    assert plan(changed, Selection(), "linux/amd64").cells[0].format == "sentence-transformers"


def test_images_are_named_with_the_prefix(matrix: Matrix) -> None:
    changed = matrix.model_copy(update={"prefix": "ghcr.io/owner/equivec"})
    image = plan(changed, Selection(), "linux/amd64").cells[0].image
    assert image == "ghcr.io/owner/equivec/onnxruntime-fixture-768"


def test_cells_that_are_selected_but_cannot_run_here_are_an_error(matrix: Matrix) -> None:
    planned = plan(matrix, Selection(platforms=("darwin/arm64",)), "linux/amd64")
    with pytest.raises(SelectionError) as caught:
        runnable(planned)
    assert "none of the selected cells can run here" in caught.value.problem
    line = (
        "onnxruntime-fixture-768-darwin-arm64: a darwin/arm64 host is needed; this is linux/amd64"
    )
    assert line in caught.value.problem
    assert "bert" not in caught.value.problem


def test_runnable_cells_are_those_that_are_not_left_out(matrix: Matrix) -> None:
    planned = plan(matrix, Selection(), "linux/amd64")
    assert runnable(planned) == planned.chosen


def test_the_document_says_what_the_plan_says(matrix: Matrix) -> None:
    planned = plan(matrix, Selection(), "linux/amd64")
    document = json.loads(to_json(planned))
    assert document["schema_version"] == 1
    assert document["host"] == "linux/amd64"
    assert tuple(Cell(**each) for each in document["cells"]) == planned.cells


def test_every_field_of_the_document_is_documented() -> None:
    text = (ROOT / "docs" / "plan.md").read_text()
    documented = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    names = {name for line in documented for name in re.findall(r"`([a-z_]+)`", line)}
    assert names == {each.name for each in fields(Cell)} | {"schema_version", "host", "cells"}


@pytest.fixture
def expecting(matrix: Matrix) -> Matrix:
    """A matrix that expects its backend to be refused on linux/arm64."""
    backend = matrix.backends["onnxruntime"].model_copy(update={"refused": ("linux/arm64",)})
    return matrix.model_copy(update={"backends": {"onnxruntime": backend}})


def test_a_refusal_is_expected_where_the_backend_says_so(expecting: Matrix) -> None:
    planned = plan(expecting, Selection(), "linux/amd64")
    expected = {each.platform for each in planned.cells if each.refusal_expected}
    assert expected == {"linux/arm64"}
    # It stays a cell that is to be done: its locks decide.
    assert cell(planned, "fixture-768-linux-arm64") in runnable(planned)


def test_nothing_is_expected_of_a_cell_that_the_matrix_leaves_out(expecting: Matrix) -> None:
    backend = expecting.backends["onnxruntime"].model_copy(update={"platforms": ("linux/amd64",)})
    changed = expecting.model_copy(update={"backends": {"onnxruntime": backend}})
    planned = plan(changed, Selection(), "linux/amd64")
    assert not any(each.refusal_expected for each in planned.cells)


@pytest.mark.parametrize(
    ("refused", "expected", "said"),
    [
        ("no wheels", True, "refused, as expected: no wheels"),
        ("no wheels", False, "refused: no wheels"),
        (None, True, "native; it has become possible: take linux/amd64 out of `refused` of"),
        (None, False, "native"),
    ],
)
def test_people_see_what_preflight_said(
    matrix: Matrix, refused: str | None, *, expected: bool, said: str
) -> None:
    planned = plan(matrix, Selection(), "linux/amd64")
    first = replace(planned.cells[0], refused=refused, refusal_expected=expected)
    line = shown(replace(planned, cells=(first,)), {}).splitlines()[1]
    assert line.split("amd64 ", 1)[1].strip().startswith(said)


def shown(planned: Plan, environment: Mapping[str, str]) -> str:
    stream = io.StringIO()
    plan_table.show(planned, terminal.console(stream, environment))
    return stream.getvalue()


def test_people_see_every_cell_with_its_reason(matrix: Matrix) -> None:
    text = shown(plan(matrix, Selection(), "linux/amd64"), {})
    assert [line.rstrip() for line in text.splitlines()] == [
        "",
        " ● onnxruntime-fixture-768-linux-amd64  native",
        " ● onnxruntime-fixture-768-linux-arm64  emulated",
        "",
        " ○ 2 cells left out: " + ELSEWHERE,
        "       onnxruntime-fixture-768, onnxruntime-fixture-bert-384 (darwin/arm64)",
        " ○ 2 cells left out: not in the default selection (use --all)",
        "       onnxruntime-fixture-bert-384 (linux/amd64, linux/arm64)",
        "",
        " 2 of 6 cells, on a linux/amd64 host",
        "",
    ]


def test_a_host_says_what_it_yields(matrix: Matrix) -> None:
    text = shown(plan(matrix, Selection(), "darwin/arm64"), {})
    assert "● onnxruntime-fixture-768-darwin-arm64  reference vectors of this host" in text


def test_the_plan_is_coloured_only_on_demand(matrix: Matrix) -> None:
    planned = plan(matrix, Selection(), "linux/amd64")
    assert "\x1b" not in shown(planned, {})
    assert "\x1b" in shown(planned, {"FORCE_COLOR": "1"})
    assert "\x1b" not in shown(planned, {"FORCE_COLOR": "1", "NO_COLOR": "1"})


def test_a_model_that_is_not_here_leaves_its_cells_out_with_the_reason(matrix: Matrix) -> None:
    absent = {"fixture-bert-384": "needs the hub: `nox -s fetch -- --model fixture-bert-384`"}
    planned = without(plan(matrix, Selection(all=True), "linux/amd64"), absent)

    assert cell(planned, "fixture-bert-384-linux-amd64").left_out == absent["fixture-bert-384"]
    assert cell(planned, "fixture-bert-384-darwin-arm64").left_out == ELSEWHERE
    assert {each.model for each in planned.chosen} == {"fixture-768"}

    alone = Selection(models=("fixture-bert-384",))
    with pytest.raises(SelectionError, match=r"none of the selected cells can run here\n.*the hub"):
        runnable(without(plan(matrix, alone, "linux/amd64"), absent))
