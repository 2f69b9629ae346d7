"""What became of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builders import preflight
from builders.check import Check
from builders.errors import CellsFailedError, EquivecError
from builders.formats.layout import Layout
from builders.plan import Cell, Plan
from builders.report.summary import Result, Row
from builders.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a cell.

    Attributes:
        verdict: Of an image that was judged, passed or not.
        layout: That image.
        unchanged: The verdict is an earlier run's.
        error: Why it did not pass, or may not be published; None if it did, or was refused as
            expected.
        refused: Why its locks refuse it, where matrix.yaml expects them to: nothing was done.
        seconds: How long it took.
    """

    cell: Cell
    verdict: Verdict | None = None
    layout: Layout | None = None
    unchanged: bool = False
    error: EquivecError | None = None
    refused: str | None = None
    seconds: float = 0.0

    @property
    def built(self) -> bool:
        """Whether the image was built, and that was all that was asked for."""
        return self.layout is not None and self.verdict is None

    @property
    def remark(self) -> str:
        """A word on how it came out, where it did not fail."""
        return "built, and not tested" if self.built else "unchanged" if self.unchanged else ""


def failure(cell: Cell, found: Verdict) -> CellsFailedError:
    """Say which checks an image did not pass, and by how much."""
    lines = []
    for check in found.failures:
        figures = "" if check.figure is None else f" {check.figure} (limit {check.limit})"
        lines += [f"{check.name}:{figures}", *(f"  {detail}" for detail in check.details)]
    listed = "".join(f"\n  {line}" for line in lines)
    return CellsFailedError(
        f"{len(found.failures)} of {len(found.checks)} checks failed{listed}",
        where=cell.id,
        remedy=f"the whole verdict is in dist/verdicts/{cell.id}.json",
    )


def rows(planned: Plan, outcomes: Sequence[Outcome]) -> tuple[Row, ...]:
    """Return a line of the final table for every cell of the plan, the left-out ones too."""
    found = {outcome.cell.id: outcome for outcome in outcomes}
    return tuple(
        _row(found[cell.id])
        if cell.id in found
        else Row(
            cell=cell.id,
            result="absent" if planned.is_absent(cell) else "left out",
            reason=cell.left_out or "",
        )
        for cell in planned.cells
    )


def nearest_to_its_limit(checks: Sequence[Check]) -> tuple[float, float] | None:
    """Return figure and limit of the parity check that uses up most of its limit."""
    figures = [
        (check.figure, check.limit)
        for check in checks
        if check.name in ("parity:max-abs-difference", "parity:distance")
        and isinstance(check.figure, float)
        and isinstance(check.limit, float)
    ]
    return max(figures, key=lambda pair: pair[0] / pair[1], default=None)


def _row(outcome: Outcome) -> Row:
    if outcome.refused is not None:
        return Row(cell=outcome.cell.id, result="refused", reason=outcome.refused)
    judged = outcome.verdict
    if judged is None:
        result: Result = "built" if outcome.built else "passed"
        return Row(
            cell=outcome.cell.id,
            result=result if outcome.error is None else "failed",
            digest=outcome.layout.manifest_digest if outcome.layout else None,
            reason=_reason(outcome),
            seconds=outcome.seconds,
        )
    return Row(
        cell=outcome.cell.id,
        result="failed" if outcome.error else "unchanged" if outcome.unchanged else "passed",
        reason=_reason(outcome),
        digest=judged.subject.digest,
        size_mb=judged.subject.compressed_bytes_without_model / 1e6,
        emulated=judged.environment.execution == "emulated",
        parity=nearest_to_its_limit(judged.checks),
        seconds=outcome.seconds,
        drifted=bool(judged.inputs.drift),
    )


def _reason(outcome: Outcome) -> str:
    """Return why a cell failed, in a line: the checks' names, or the first line of the error.

    Of one that did not, there is only to say that matrix.yaml expects it to be refused.
    """
    if outcome.error is None:
        expected = outcome.cell.refusal_expected
        return preflight.became_possible(outcome.cell) if expected else ""
    if outcome.verdict is not None and outcome.verdict.failures:
        return ", ".join(check.name for check in outcome.verdict.failures)
    return outcome.error.problem.partition("\n")[0]
