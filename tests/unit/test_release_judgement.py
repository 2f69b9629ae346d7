"""What may be released, and every reason why something may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders.attestation.statement import Kind
from builders.check import Check
from builders.release.evidence import Published, Statements
from builders.release.judgement import refusals, says
from builders.release.wanted import Demands, Inputs, Wanted
from builders.source import Source
from builders.verdict import Verdict
from tests.unit.test_outcome import verdict

AMD64, ARM64 = "linux/amd64", "linux/arm64"
NAME = "equivec/onnxruntime-bge"
REVISION = "1" * 40
EVERY = frozenset(Kind)
FAILED = Check(name="parity:distance", passed=False)
PASSED = Check(name="audit:wheels", passed=True)

LOCKS = Inputs(debian_lock="debian", wheel_lock="wheels", model="model")
WANTED = Wanted(
    name=NAME,
    vector_space="space",
    platforms={AMD64: LOCKS, ARM64: LOCKS},
    required=(AMD64, ARM64),
    refusals=(),
)
DEMANDS = Demands(source=Source(revision=REVISION, clean=True), suite="suite", epoch=1, native=True)


def judged(platform: str, *checks: Check, **changes: Any) -> Verdict:
    """Return a verdict that meets every demand, but for the changes: `inputs__drift=...`."""
    sound: dict[str, Any] = {
        "vector_space": "space",
        "source": Source(revision=REVISION, clean=True),
        "subject__name": NAME,
        "subject__platform": platform,
        "inputs__debian_lock": "debian",
        "inputs__wheel_lock": "wheels",
        "inputs__model": "model",
        "inputs__suite": "suite",
        "inputs__epoch": 1,
        "environment__execution": "native",
    }
    found = verdict(*checks)
    for key, value in {**sound, **changes}.items():
        part, _, name = key.partition("__")
        inner = getattr(found, part).model_copy(update={name: value}) if name else value
        found = found.model_copy(update={part: inner})
    return found


def statements(*verdicts: Verdict, **changes: Any) -> Statements:
    sound = Statements(
        digest="sha256:1", kinds=EVERY, signers=(), verdicts=verdicts, disregarded=()
    )
    return replace(sound, **changes)


def published(**changes: Any) -> Published:
    sound = Published(
        index=statements(),
        platforms={each: statements(judged(each, PASSED)) for each in (AMD64, ARM64)},
        damage=(),
    )
    return replace(sound, **changes)


def with_arm64(*verdicts: Verdict, **changes: Any) -> Published:
    amd64 = statements(judged(AMD64, PASSED))
    return published(platforms={AMD64: amd64, ARM64: statements(*verdicts, **changes)})


def test_what_passed_may_be_released() -> None:
    assert refusals(WANTED, published(), DEMANDS) == ()


def test_what_is_not_published_is_refused() -> None:
    assert refusals(WANTED, None, DEMANDS) == ("it is not published there",)


def test_what_can_never_be_released_is_refused_whatever_its_verdict_says() -> None:
    fixture = replace(WANTED, refusals=("bge is a fixture",))

    assert refusals(fixture, published(), DEMANDS) == ("bge is a fixture",)
    assert "bge is a fixture" in refusals(fixture, None, DEMANDS)


def test_damage_is_a_reason() -> None:
    assert refusals(WANTED, published(damage=("a blob",)), DEMANDS) == ("a blob",)


def test_a_required_platform_must_be_there() -> None:
    found = published(platforms={AMD64: statements(judged(AMD64, PASSED))})

    (reason,) = refusals(WANTED, found, DEMANDS)
    assert reason == "linux/arm64: required by release.platforms, and not published"
    assert refusals(replace(WANTED, required=(AMD64,)), found, DEMANDS) == ()


def test_a_platform_that_is_not_required_is_judged_too() -> None:
    found = with_arm64(judged(ARM64, FAILED))

    assert refusals(replace(WANTED, required=(AMD64,)), found, DEMANDS)


def test_a_platform_that_the_matrix_does_not_have_is_refused() -> None:
    only = replace(WANTED, platforms={AMD64: LOCKS}, required=(AMD64,))

    (reason,) = refusals(only, published(), DEMANDS)
    assert reason.startswith("linux/arm64: published, and not in matrix.yaml")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"environment__execution": "emulated"}, "tested in an emulated container"),
        ({"inputs__drift": ("libssl3 1 -> 2",)}, "drifted from its lock: libssl3 1 -> 2"),
        ({"inputs__suite": "older"}, "judged by other tests than this checkout has: older"),
        ({"inputs__debian_lock": "x"}, "made of another Debian lock"),
        ({"inputs__wheel_lock": "x"}, "made of another wheel lock"),
        ({"inputs__model": "x"}, "made of another model"),
        ({"vector_space": "x"}, "of another vector space"),
        ({"inputs__epoch": 2}, "made for another epoch"),
        ({"subject__name": "equivec/other"}, "the verdict is about equivec/other for linux/arm64"),
        (
            {"subject__platform": AMD64},
            "the verdict is about equivec/onnxruntime-bge for linux/amd",
        ),
        ({"source": Source(revision=REVISION, clean=False)}, "changes that were not committed"),
        ({"source": Source(revision="2" * 40, clean=True)}, "of revision 222222222222; this"),
    ],
)
def test_a_verdict_that_does_not_meet_a_demand_is_refused(
    changes: dict[str, Any], reason: str
) -> None:
    (found,) = refusals(WANTED, with_arm64(judged(ARM64, PASSED, **changes)), DEMANDS)

    assert found.startswith("linux/arm64: ")
    assert reason in found


def test_a_failed_check_is_named() -> None:
    (found,) = refusals(WANTED, with_arm64(judged(ARM64, PASSED, FAILED)), DEMANDS)

    assert found == "linux/arm64: failed: parity:distance"


def test_an_emulated_verdict_counts_where_the_policy_lets_it() -> None:
    found = with_arm64(judged(ARM64, PASSED, environment__execution="emulated"))

    assert refusals(WANTED, found, replace(DEMANDS, native=False)) == ()


def test_of_several_verdicts_one_that_meets_every_demand_is_enough() -> None:
    emulated = judged(ARM64, PASSED, environment__execution="emulated")
    older = judged(ARM64, FAILED, inputs__suite="older")

    assert refusals(WANTED, with_arm64(emulated, older, judged(ARM64, PASSED)), DEMANDS) == ()


def test_a_failure_by_the_same_tests_speaks_against_every_other_verdict() -> None:
    found = with_arm64(judged(ARM64, PASSED), judged(ARM64, FAILED))

    (reason,) = refusals(WANTED, found, DEMANDS)
    assert reason == "linux/arm64: another verdict by the same tests says that it failed"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_statement_about_an_image_must_be_there(kind: Kind) -> None:
    told = with_arm64(judged(ARM64, PASSED), kinds=EVERY - {kind})

    assert refusals(WANTED, told, DEMANDS) == (f"linux/arm64: no {kind.word.replace('-', ' ')}",)


def test_why_a_statement_does_not_count_is_told() -> None:
    found = with_arm64(
        kinds=EVERY - {Kind.TEST_RESULT},
        disregarded=("test-result: is not signed", "sbom: is about something else"),
    )

    (reason,) = refusals(WANTED, found, DEMANDS)
    assert reason == "linux/arm64: no test result that counts: is not signed"


def test_a_manifest_needs_a_signature_of_its_own_where_one_is_asked_for() -> None:
    found = with_arm64(judged(ARM64, PASSED), unsigned="by nobody")

    assert refusals(WANTED, found, DEMANDS) == ("linux/arm64: no signature that counts: by nobody",)


def test_the_index_needs_a_test_result_of_its_own() -> None:
    found = published(index=statements(kinds=frozenset()))

    assert refusals(WANTED, found, DEMANDS) == ("index: no test result",)


def test_every_reason_is_told_at_once() -> None:
    found = with_arm64(
        judged(ARM64, FAILED, environment__execution="emulated", inputs__suite="older")
    )

    assert len(refusals(WANTED, found, DEMANDS)) == 3


def test_what_speaks_for_an_image_is_told_with_who_says_so() -> None:
    amd64, arm64 = says(WANTED, with_arm64(judged(ARM64, PASSED), signers=("the key k",)), DEMANDS)

    assert amd64 == "linux/amd64: native, 1 checks, unsigned: `trust` in matrix.yaml names nobody"
    assert arm64 == "linux/arm64: native, 1 checks, signed by the key k"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Source(), "Git knows no revision"),
        (Source(revision=REVISION, clean=False), "changes that are not committed"),
    ],
)
def test_a_checkout_that_is_no_revision_releases_nothing(source: Source, reason: str) -> None:
    (found,) = replace(DEMANDS, source=source).refusals

    assert reason in found
    assert DEMANDS.refusals == ()
