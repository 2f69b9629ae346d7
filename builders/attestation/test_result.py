"""Verdicts as in-toto test results, for tools that are not ours; the whole verdict inside.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from builders.attestation.statement import Kind, Statement
from builders.errors import SigningError
from builders.formats.oci import Digest
from builders.verdict import Verdict

VERDICT = "https://equivec.io/verdict/v1"
"""The extension field that holds a platform's whole verdict."""

PLATFORMS = "https://equivec.io/platforms/v1"
"""The extension field that lists what an index is made of, by digest."""

DRIFT = "debian-lock"
"""The warning of an image that passed, made of other packages than those locked."""


class Platform(BaseModel):
    """What an index's test result says of the image of one platform, which has its own."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    platform: str
    digest: Digest
    execution: str
    suite: str


def predicate(verdict: Verdict) -> Mapping[str, Any]:
    """Return the test result of one platform's image: PASSED, FAILED, or WARNED if it drifted."""
    return {
        "result": _result(verdict),
        "configuration": _configuration([verdict]),
        "passedTests": [check.name for check in verdict.checks if check.passed],
        "warnedTests": [DRIFT] if verdict.inputs.drift else [],
        "failedTests": [check.name for check in verdict.failures],
        VERDICT: json.loads(verdict.model_dump_json()),
    }


def verdict_of(statement: Statement) -> Verdict:
    """Return the verdict inside a test result, which is about the very digest that is stated.

    Raises:
        SigningError: It holds none, or one of another image, or one that contradicts itself.
    """
    if statement.kind is not Kind.TEST_RESULT or VERDICT not in statement.predicate:
        raise SigningError(f"no verdict is in this {statement.kind.word}", where=statement.digest)
    try:
        verdict = Verdict.model_validate_json(json.dumps(statement.predicate[VERDICT]))
    except ValidationError as error:
        raise SigningError(
            f"its verdict is malformed: {error}",
            where=statement.digest,
            remedy="it may be of another version of Equivec: judge the image again",
        ) from error
    contradictions = tuple(_contradictions(statement, verdict))
    if contradictions:
        raise SigningError("; ".join(contradictions), where=statement.digest)
    return verdict


def index_predicate(verdicts: Sequence[Verdict]) -> Mapping[str, Any]:
    """Return the test result of a multi-platform index, from those of its platforms' images.

    Args:
        verdicts: One for each manifest of the index.
    """
    ordered = sorted(verdicts, key=lambda verdict: verdict.subject.platform)
    results = [_result(verdict) for verdict in ordered]
    return {
        "result": next(word for word in ("FAILED", "WARNED", "PASSED") if word in results),
        "configuration": _configuration(ordered),
        "passedTests": [
            _test(each, check.name) for each in ordered for check in each.checks if check.passed
        ],
        "warnedTests": [_test(each, DRIFT) for each in ordered if each.inputs.drift],
        "failedTests": [_test(each, check.name) for each in ordered for check in each.failures],
        PLATFORMS: [
            Platform(
                platform=each.subject.platform,
                digest=each.subject.digest,
                execution=each.environment.execution,
                suite=each.inputs.suite,
            ).model_dump()
            for each in ordered
        ],
    }


def platforms_of(statement: Statement) -> Mapping[str, str]:
    """Return the digest of each platform that an index's test result is about.

    Raises:
        SigningError: It is not the test result of an index.
    """
    if statement.kind is not Kind.TEST_RESULT or PLATFORMS not in statement.predicate:
        raise SigningError(f"no index's {statement.kind.word}", where=statement.digest)
    try:
        platforms = [Platform.model_validate(each) for each in statement.predicate[PLATFORMS]]
    except (ValidationError, TypeError) as error:
        raise SigningError(
            f"its platforms are malformed: {error}", where=statement.digest
        ) from error
    found = {each.platform: each.digest for each in platforms}
    if len(found) != len(platforms):
        raise SigningError("it names a platform twice", where=statement.digest)
    return found


def _result(verdict: Verdict) -> str:
    if not verdict.passed:
        return "FAILED"
    return "WARNED" if verdict.inputs.drift else "PASSED"


def _test(verdict: Verdict, name: str) -> str:
    return f"{verdict.subject.platform}/{name}"


def _configuration(verdicts: Sequence[Verdict]) -> list[Mapping[str, Any]]:
    """Return what the tests were: each once, by the digest that verdicts name it by."""
    found = {
        (name, digest): None
        for verdict in verdicts
        for name, digest in (("suite", verdict.inputs.suite), ("corpus", verdict.inputs.corpus))
    }
    return [
        {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
        for name, digest in found
    ]


def _contradictions(statement: Statement, verdict: Verdict) -> Iterator[str]:
    """Yield in what a verdict is not that of its statement, or says that it passed and did not."""
    if verdict.subject.digest != statement.digest:
        yield f"its verdict is on {verdict.subject.digest}"
    if verdict.passed != (not verdict.failures):
        yield f"its verdict says passed: {verdict.passed}, with {len(verdict.failures)} failures"
    if statement.predicate.get("result") != _result(verdict):
        yield f"its result is {statement.predicate.get('result')}, its verdict {_result(verdict)}"
