"""What became of cells: the error of a failed one, and the rows of the final table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builders.check import Check
from builders.errors import EngineError, PreflightError
from builders.formats import layout
from builders.matrix import load
from builders.outcome import Outcome, failure, rows
from builders.paths import ROOT
from builders.plan import plan
from builders.selection import Selection
from builders.verdict import Environment, Inputs, Subject, Verdict
from tests.unit.images import Image, file, tar

PLAN = plan(load(ROOT / "tests" / "unit" / "matrix.yaml"), Selection(), "linux/amd64")
CELL = PLAN.cells[1]


def verdict(*checks: Check) -> Verdict:
    return Verdict(
        cell=CELL.id,
        backend=CELL.backend,
        model=CELL.model,
        vector_space="sha256:0",
        precision="float32",
        dimension=768,
        passed=all(check.passed for check in checks),
        subject=Subject(
            name=CELL.image,
            platform=CELL.platform,
            digest="sha256:1",
            config_digest="sha256:2",
            diff_ids=(),
            compressed_bytes=80_000_000,
            compressed_bytes_without_model=50_000_000,
        ),
        inputs=Inputs(
            debian_lock="a",
            wheel_lock="b",
            built_wheels={},
            model="c",
            epoch=0,
            corpus="d",
            suite="e",
            drift=(),
        ),
        environment=Environment(
            host="linux/amd64",
            cpu="x",
            build_platform="linux/amd64",
            engine={},
            execution="emulated",
        ),
        components=(),
        checks=checks,
        seconds={},
        finished="2026-01-01T00:00:00+00:00",
    )


DISTANCE = Check(
    name="parity:distance", passed=False, figure=3e-4, limit=1e-4, details=("a: 3e-4",)
)
WIDE = Check(name="parity:max-abs-difference", passed=True, figure=2e-6, limit=1e-5)


def test_a_failed_cell_names_the_checks_and_by_how_much() -> None:
    error = failure(CELL, verdict(WIDE, DISTANCE))

    assert error.where == CELL.id
    assert "1 of 2 checks failed" in error.problem
    assert "parity:distance: 0.0003 (limit 0.0001)" in error.problem
    assert "a: 3e-4" in error.problem
    assert "max-abs" not in error.problem
    assert CELL.id in error.remedy


def test_every_cell_of_the_plan_has_a_row() -> None:
    judged = verdict(WIDE, DISTANCE)
    broken = Outcome(cell=PLAN.cells[0], error=EngineError("gone\nand more"), seconds=1.0)
    failed = Outcome(cell=CELL, verdict=judged, error=failure(CELL, judged), seconds=2.0)

    shown = rows(PLAN, [broken, failed])

    assert [row.cell for row in shown] == [cell.id for cell in PLAN.cells]
    assert (shown[0].result, shown[0].reason) == ("failed", "gone")
    assert (shown[1].result, shown[1].reason) == ("failed", "parity:distance")
    assert shown[1].emulated
    assert shown[1].parity == (3e-4, 1e-4)
    assert shown[1].size_mb == 50.0
    assert [row.result for row in shown[2:]] == ["absent", *["left out"] * 3]
    assert all(row.reason for row in shown[2:])


EXPECTED = replace(CELL, refusal_expected=True)


def test_a_refusal_that_is_expected_is_no_failure() -> None:
    refused = Outcome(cell=EXPECTED, refused="no wheels for it")

    row = rows(PLAN, [refused])[1]

    assert (row.cell, row.result, row.reason) == (CELL.id, "refused", "no wheels for it")


def test_a_refusal_that_is_not_expected_is_a_failure() -> None:
    row = rows(PLAN, [Outcome(cell=CELL, error=PreflightError("no wheels for it"))])[1]
    assert (row.result, row.reason) == ("failed", "no wheels for it")


def test_a_cell_that_became_possible_says_so() -> None:
    (passed, failed) = (
        rows(PLAN, [Outcome(cell=EXPECTED, verdict=verdict(check), error=error)])[1]
        for check, error in ((WIDE, None), (DISTANCE, failure(CELL, verdict(DISTANCE))))
    )
    assert (passed.result, failed.result) == ("passed", "failed")
    assert passed.reason == (
        "it has become possible: take linux/arm64 out of `refused` of backends.onnxruntime"
        " in matrix.yaml"
    )
    assert failed.reason == "parity:distance"


def test_an_earlier_verdict_is_called_unchanged() -> None:
    (row, *_) = (
        row
        for row in rows(PLAN, [Outcome(cell=CELL, verdict=verdict(WIDE), unchanged=True)])
        if row.cell == CELL.id
    )
    assert row.result == "unchanged"


def test_an_image_that_was_only_built_has_not_passed(tmp_path: Path) -> None:
    found = layout.read(Image(layers=[tar([file("a", b"x")])]).write(tmp_path / "layout"))
    outcome = Outcome(cell=CELL, layout=found)

    (row,) = (row for row in rows(PLAN, [outcome]) if row.cell == CELL.id)

    assert outcome.remark == "built, and not tested"
    assert (row.result, row.digest) == ("built", found.manifest_digest)
