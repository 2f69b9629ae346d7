"""Reference vectors that travel: the file, and which rows they fill."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import host
from builders import plan as plans
from builders.errors import ReferenceVectorsError
from builders.matrix import Matrix, load
from builders.paths import ROOT
from builders.plan import Plan
from builders.project import Project
from builders.references import file, judgement
from builders.references import host as hosts
from builders.references.file import MadeFrom, Reference
from builders.report.summary import Row
from builders.selection import Selection
from builders.store import Store

MAC = "onnxruntime-fixture-768-darwin-arm64"
DOCUMENT = {
    "backend": "onnxruntime",
    "libraries": {"numpy": "2.4.6"},
    "model": "fixture-768",
    "dimension": 1,
    "vector_space": "sha256:" + "1" * 64,
    "precision": "float32",
    "architecture": "arm64",
    "batch_size": 1,
    "vectors": {"one": "AACAPw=="},
}
REFERENCE = Reference(
    cell=MAC,
    platform="darwin/arm64",
    processor="Apple M4",
    made_from=MadeFrom(corpus="a", model="b", wheels="c", backend="d", service="e"),
    vectors=DOCUMENT,
)


@pytest.fixture
def matrix() -> Matrix:
    return load(ROOT / "tests" / "unit" / "matrix.yaml")


@pytest.fixture
def project(matrix: Matrix, tmp_path: Path) -> Project:
    return Project(root=ROOT, matrix=matrix, store=Store(tmp_path / "cache"))


def planned(matrix: Matrix, here: str = "linux/amd64", **selection: Any) -> Plan:
    return plans.plan(matrix, Selection(**selection), here)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "references" / "mac.json"
    file.write(path, [REFERENCE])
    assert file.read([path]) == {MAC: REFERENCE}
    read = file.read([path])[MAC].read(["one"])
    assert np.array_equal(read.matrix, [[1.0]])


def test_a_cell_may_be_there_once(tmp_path: Path) -> None:
    path = tmp_path / "mac.json"
    file.write(path, [REFERENCE])
    with pytest.raises(ReferenceVectorsError, match=f"the vectors of {MAC} are there twice"):
        file.read([path, path])


def test_a_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ReferenceVectorsError, match="No such file") as caught:
        file.read([tmp_path / "mac.json"])
    assert "--export" in caught.value.remedy


def spoiled(change: Callable[[Any], object], tmp_path: Path) -> Path:
    path = tmp_path / "mac.json"
    file.write(path, [REFERENCE])
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda whole: whole.update(schema_version=2), "schema_version"),
        (lambda whole: whole.update(references=[]), "references"),
        (lambda whole: whole["references"][0].pop("made_from"), "references.0.made_from"),
        (lambda whole: whole["references"][0].update(passed=True), "references.0.passed"),
        (lambda whole: whole["references"][0].update(platform="a Mac"), "references.0.platform"),
    ],
)
def test_a_malformed_file_is_refused(
    change: Callable[[Any], object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ReferenceVectorsError, match=said):
        file.read([spoiled(change, tmp_path)])


def test_malformed_vectors_are_refused() -> None:
    other = replace(REFERENCE, vectors={**DOCUMENT, "dimension": 2})
    with pytest.raises(ReferenceVectorsError, match="1 dimensions instead of 2") as caught:
        other.read(["one"])
    assert caught.value.where == f"the vectors of {MAC}"


def found(*cells: str, platform: str = "darwin/arm64") -> Mapping[str, Reference]:
    return {cell: replace(REFERENCE, cell=cell, platform=platform) for cell in cells}


def test_vectors_of_no_cell_are_refused(project: Project) -> None:
    plan = planned(project.matrix)
    for references in (found("onnxruntime-other-darwin-arm64"), found(MAC, platform="linux/amd64")):
        with pytest.raises(ReferenceVectorsError, match=r"matrix\.yaml has no cell"):
            judgement.cells(project, plan, references)


def test_what_a_selection_asks_for_is_compared(project: Project) -> None:
    bert, linux = (MAC.replace("768", "bert-384"), "onnxruntime-fixture-768-linux-arm64")
    references = {**found(bert, MAC), **found(linux, platform="linux/arm64")}
    compared = judgement.cells(project, planned(project.matrix), references)
    assert [cell.id for cell in compared] == [linux, MAC]
    everything = judgement.cells(project, planned(project.matrix, all=True), references)
    assert [cell.id for cell in everything] == [linux, MAC, bert]


def test_a_host_whose_vectors_nobody_brought_is_absent(matrix: Matrix) -> None:
    (row,) = judgement.rows(planned(matrix), {})
    assert (row.cell, row.result) == (MAC, "absent")
    assert row.reason == "a darwin/arm64 host is needed; this is linux/amd64"
    passed = Row(cell=MAC, result="passed", parity=(1e-7, 1e-5))
    assert judgement.rows(planned(matrix), {MAC: passed}) == (passed,)


def test_only_what_was_asked_for_is_absent(matrix: Matrix) -> None:
    assert judgement.rows(planned(matrix, platforms=("linux/amd64",)), {}) == ()
    assert judgement.rows(planned(matrix, here="darwin/arm64"), {}) == ()
    assert len(judgement.rows(planned(matrix, all=True), {})) == 2


def test_a_host_makes_vectors_of_each_backend_and_model_once(project: Project) -> None:
    plan = planned(project.matrix, here=host.current())
    made = hosts.cells(project, plan)
    assert [(cell.backend, cell.model) for cell in made] == [("onnxruntime", "fixture-768")]
    assert {cell.platform for cell in made} == {host.current()}
