"""Results of the smoke tests: what pytest found, as checks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from builders.check import Check, from_findings
from builders.errors import SmokeError


class SmokeResult(BaseModel):
    """One phase of one test; tests/smoke/conftest.py writes each as a JSON line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: str
    """The name of the test's function."""
    case: str
    """That, with the test's parameters: each wheel has a case of its own."""
    passed: bool
    """A skipped test has not passed: nothing was shown."""
    seconds: float
    problem: str


def read(path: Path) -> tuple[SmokeResult, ...]:
    """Read what a run of the tests has written so far; nothing if it wrote nothing.

    Raises:
        SmokeError: A line is malformed.
    """
    if not path.exists():
        return ()
    try:
        return tuple(
            SmokeResult.model_validate_json(line) for line in path.read_bytes().splitlines()
        )
    except ValidationError as error:
        raise SmokeError(
            f"results of the smoke tests cannot be read: {error}",
            where=str(path),
            remedy="run the tests again",
        ) from error


def checks(results: Iterable[SmokeResult], *, execution: str) -> tuple[Check, ...]:
    """Return a check for each test, in their order; it passes when all of its cases did.

    Args:
        results: What pytest found.
        execution: How the container ran, `native` or `emulated`: every check's details say so.
    """
    tests: dict[str, list[SmokeResult]] = {}
    for result in results:
        tests.setdefault(result.test, []).append(result)
    return tuple(_check(test, phases, execution) for test, phases in tests.items())


def _check(test: str, phases: list[SmokeResult], execution: str) -> Check:
    cases = {result.case for result in phases}
    failed = {result.case for result in phases if not result.passed}
    # Cases that share a fixture fail with the same words.
    problems = dict.fromkeys(result.problem for result in phases if not result.passed)
    seconds = sum(result.seconds for result in phases)
    check = from_findings(
        f"smoke:{test.removeprefix('test_').replace('_', '-')}",
        problems,
        figure=len(cases) - len(failed) if len(cases) > 1 else None,
        limit=len(cases) if len(cases) > 1 else None,
    )
    return Check(
        name=check.name,
        passed=check.passed,
        figure=check.figure,
        limit=check.limit,
        details=(f"{execution}, {seconds:.1f} s", *check.details),
    )
