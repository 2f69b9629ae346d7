"""Verdicts as in-toto test results: what other tools read, and the whole verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from builders.attestation import test_result as results
from builders.attestation.statement import Kind, Statement
from builders.check import Check
from builders.errors import SigningError
from builders.verdict import Verdict
from tests.unit import attested
from tests.unit.test_outcome import DISTANCE, WIDE

COUNT = Check(name="size", passed=True, figure=49.0, limit=80)


def drifted(judged: Verdict) -> Verdict:
    inputs = judged.inputs.model_copy(update={"drift": ("libc6 1 -> 2",)})
    return judged.model_copy(update={"inputs": inputs})


def test_other_tools_read_what_passed() -> None:
    predicate = results.predicate(attested.verdict(WIDE, COUNT))

    assert predicate["result"] == "PASSED"
    assert predicate["passedTests"] == ["parity:max-abs-difference", "size"]
    assert predicate["failedTests"] == predicate["warnedTests"] == []
    assert predicate["configuration"] == [
        {"name": "suite", "digest": {"sha256": "6" * 64}},
        {"name": "corpus", "digest": {"sha256": "7" * 64}},
    ]


def test_other_tools_read_what_failed() -> None:
    predicate = results.predicate(attested.verdict(WIDE, DISTANCE))

    assert predicate["result"] == "FAILED"
    assert predicate["failedTests"] == ["parity:distance"]
    assert predicate["passedTests"] == ["parity:max-abs-difference"]


def test_drift_is_a_warning() -> None:
    predicate = results.predicate(drifted(attested.verdict()))
    assert (predicate["result"], predicate["warnedTests"]) == ("WARNED", ["debian-lock"])


@pytest.mark.parametrize(
    "judged",
    [
        attested.verdict(),
        attested.verdict(WIDE, COUNT, DISTANCE),
        drifted(attested.verdict()),
    ],
)
def test_the_whole_verdict_is_inside(judged: Verdict) -> None:
    statement = attested.statement(judged)
    travelled = replace(statement, predicate=attested.read_again(statement.predicate))

    assert results.verdict_of(travelled) == judged
    assert travelled.states(statement)


def altered(judged: Verdict, **fields: Any) -> Statement:
    """Return a statement whose verdict says something else than its result."""
    statement = attested.statement(judged)
    inside = {**attested.read_again(statement.predicate[results.VERDICT]), **fields}
    return replace(statement, predicate={**statement.predicate, results.VERDICT: inside})


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (attested.statement(attested.verdict(), Kind.PROVENANCE), "no verdict is in this prov"),
        (replace(altered(attested.verdict()), predicate={"result": "PASSED"}), "no verdict"),
        (altered(attested.verdict(), passed="perhaps"), "malformed"),
        (altered(attested.verdict(), praise="high"), "malformed"),
        (replace(altered(attested.verdict()), digest=attested.sha("a")), "its verdict is on"),
        (altered(attested.verdict(DISTANCE), passed=True), "with 1 failures"),
        (altered(attested.verdict(), passed=False), "with 0 failures"),
        (
            replace(
                attested.statement(attested.verdict(DISTANCE)),
                predicate={**results.predicate(attested.verdict(DISTANCE)), "result": "PASSED"},
            ),
            "its result is PASSED, its verdict FAILED",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(statement: Statement, problem: str) -> None:
    with pytest.raises(SigningError, match=problem):
        results.verdict_of(statement)


AMD64 = attested.verdict(digest=attested.sha("a"), platform="linux/amd64")
ARM64 = attested.verdict(digest=attested.sha("b"), platform="linux/arm64")


def index(predicate: Mapping[str, Any]) -> Statement:
    return Statement(
        kind=Kind.TEST_RESULT,
        subject_name="equivec/a-b",
        digest=attested.sha("c"),
        predicate=attested.read_again(predicate),
    )


def test_an_index_is_what_its_platforms_are() -> None:
    predicate = results.index_predicate([ARM64, AMD64])

    assert predicate["result"] == "PASSED"
    assert predicate["passedTests"] == [
        "linux/amd64/parity:max-abs-difference",
        "linux/arm64/parity:max-abs-difference",
    ]
    assert len(predicate["configuration"]) == 2
    assert results.platforms_of(index(predicate)) == {
        "linux/amd64": attested.sha("a"),
        "linux/arm64": attested.sha("b"),
    }
    assert predicate == results.index_predicate([AMD64, ARM64])


def test_an_index_is_no_better_than_its_worst_platform() -> None:
    failed = attested.verdict(DISTANCE, digest=attested.sha("d"))
    warned = drifted(ARM64)

    assert results.index_predicate([AMD64, warned])["result"] == "WARNED"
    assert results.index_predicate([AMD64, warned])["warnedTests"] == ["linux/arm64/debian-lock"]
    assert results.index_predicate([AMD64, failed])["result"] == "FAILED"
    assert results.index_predicate([AMD64, failed])["failedTests"] == [
        "linux/arm64/parity:distance"
    ]


@pytest.mark.parametrize(
    "statement",
    [
        attested.statement(AMD64),
        replace(index(results.index_predicate([AMD64])), kind=Kind.SBOM),
        index({results.PLATFORMS: 5}),
        index({results.PLATFORMS: [{"platform": "linux/amd64"}]}),
        index(results.index_predicate([AMD64, AMD64])),
    ],
)
def test_what_is_no_index_s_test_result_is_refused(statement: Statement) -> None:
    with pytest.raises(SigningError):
        results.platforms_of(statement)
