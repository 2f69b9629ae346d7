"""What the main job makes of preflight's answers. The rest of it: tests/system."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from builders import matrix, pipeline
from builders import plan as plans
from builders.errors import PreflightError
from builders.outcome import Outcome
from builders.plan import Cell
from builders.project import Project
from builders.report import reporter
from builders.selection import Selection
from builders.store import Store
from tests.unit.test_preflight import locked_backend, wheel

PLATFORM = "darwin/arm64"  # so that no base image is asked for its libraries
WHEELS = {"possible": "mach-o arm64", "refused": "pe amd64"}


def asked(tmp_path: Path, binary: str, *, expected: bool) -> tuple[Cell, Outcome | None, str]:
    """Return a cell, what preflight makes of it, and what people see."""
    read = matrix.load(Path(__file__).with_name("matrix.yaml"))
    backend = read.backends["onnxruntime"]
    refused = (PLATFORM,) if expected else ()
    backends = {"some": backend.model_copy(update={"refused": refused})}
    project = Project(
        root=tmp_path,
        matrix=read.model_copy(update={"backends": backends}),
        store=Store(tmp_path / "cache"),
    )
    locked_backend(project.images, PLATFORM, wheel(WHEELS[binary]))
    planned = plans.plan(project.matrix, Selection(platforms=(PLATFORM,)), PLATFORM)
    cell = plans.runnable(planned)[0]
    stream = io.StringIO()
    with reporter([cell.id], stream=stream, environment={}) as told:
        outcome = pipeline._preflight(project, cell, told)
    return cell, outcome, stream.getvalue()


def test_a_cell_that_is_possible_is_worked_on(tmp_path: Path) -> None:
    _, outcome, said = asked(tmp_path, "possible", expected=False)
    assert outcome is None
    assert said == ""


def test_a_cell_that_is_refused_fails(tmp_path: Path) -> None:
    cell, outcome, said = asked(tmp_path, "refused", expected=False)
    assert outcome is not None
    assert isinstance(outcome.error, PreflightError)
    assert outcome.error.where == cell.id
    assert "FAILED" in said


def test_a_cell_that_is_refused_as_expected_does_not_fail(tmp_path: Path) -> None:
    _, outcome, said = asked(tmp_path, "refused", expected=True)
    assert outcome is not None
    assert outcome.error is None
    assert "holds Windows binaries" in (outcome.refused or "")
    assert "refused, as expected: x-1.0-py3-none-any.whl holds Windows binaries" in said
    assert "FAILED" not in said


def test_a_cell_that_became_possible_is_worked_on_and_says_so(tmp_path: Path) -> None:
    _, outcome, said = asked(tmp_path, "possible", expected=True)
    assert outcome is None
    assert f"it has become possible: take {PLATFORM} out of `refused` of backends.some" in said


@pytest.mark.parametrize(("expected", "failed"), [(True, False), (False, True)])
def test_only_an_unexpected_refusal_fails_the_run(
    tmp_path: Path, *, expected: bool, failed: bool
) -> None:
    _, outcome, _ = asked(tmp_path, "refused", expected=expected)
    assert outcome is not None
    assert pipeline.Finished(outcomes=(outcome,), engine=None).failed is failed
