"""Whether what is published of an image may be released: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builders.attestation.statement import Kind
from builders.release.evidence import Published, Statements
from builders.release.wanted import Demands, Inputs, Wanted
from builders.verdict import Verdict

_ABOUT_IMAGES = (Kind.TEST_RESULT, Kind.PROVENANCE, Kind.SBOM)
_ABOUT_INDEXES = (Kind.TEST_RESULT,)
_DIGEST = len("sha256:") + 12
_REVISION = 12
"""How much of a digest, and of a revision, people are shown."""


def refusals(wanted: Wanted, published: Published | None, demands: Demands) -> tuple[str, ...]:
    """Return why an image may not be released, a line for each reason; none if it may.

    A manifest may be released that has a verdict which meets every demand, whatever other
    verdicts there are, unless one by the same tests says that it failed.

    Args:
        wanted: The image, as the checkout has it.
        published: The image, as a target has it; None if it has none.
        demands: What every verdict must say.
    """
    if published is None:
        return (*wanted.refusals, "it is not published there")
    return (*wanted.refusals, *published.damage, *_reasons(wanted, published, demands))


def best(
    platform: str, statements: Statements, wanted: Wanted, demands: Demands
) -> tuple[Verdict, tuple[str, ...]] | None:
    """Return the verdict that speaks for a platform's manifest, and what speaks against that.

    It is the one with the fewest objections; None where there is no verdict.
    """
    judged = [
        (verdict, tuple(_objections(verdict, platform, wanted, demands)))
        for verdict in statements.verdicts
    ]
    return min(judged, key=lambda pair: len(pair[1]), default=None)


def says(wanted: Wanted, published: Published, demands: Demands) -> tuple[str, ...]:
    """Return what speaks for an image, a line for each platform that has a verdict."""
    lines = []
    for platform, statements in published.platforms.items():
        found = (
            best(platform, statements, wanted, demands) if platform in wanted.platforms else None
        )
        if found is not None:
            execution, checks = found[0].environment.execution, len(found[0].checks)
            by = " and ".join(statements.signers)
            signed = f"signed by {by}" if by else "unsigned: `trust` in matrix.yaml names nobody"
            lines.append(f"{platform}: {execution}, {checks} checks, {signed}")
    return tuple(lines)


def _reasons(wanted: Wanted, published: Published, demands: Demands) -> Iterator[str]:
    for missing in _missing(published.index, _ABOUT_INDEXES):
        yield f"index: {missing}"
    for platform in wanted.required:
        if platform not in published.platforms:
            yield f"{platform}: required by release.platforms, and not published"
    for platform, statements in published.platforms.items():
        if platform not in wanted.platforms:
            yield f"{platform}: published, and not in matrix.yaml: the tags would be on it too"
            continue
        for reason in _of_platform(platform, statements, wanted, demands):
            yield f"{platform}: {reason}"


def _of_platform(
    platform: str, statements: Statements, wanted: Wanted, demands: Demands
) -> Iterator[str]:
    yield from _missing(statements, _ABOUT_IMAGES)
    found = best(platform, statements, wanted, demands)
    if found is None:
        return  # A missing test result has been told.
    yield from found[1]
    if not found[1] and any(
        not verdict.passed and verdict.inputs.suite == demands.suite
        for verdict in statements.verdicts
    ):
        yield "another verdict by the same tests says that it failed"


def _objections(verdict: Verdict, platform: str, wanted: Wanted, demands: Demands) -> Iterator[str]:
    """Yield what speaks against a verdict: the image, its inputs, who judged it, and how."""
    about = (verdict.subject.name, verdict.subject.platform)
    if about != (wanted.name, platform):
        yield f"the verdict is about {about[0]} for {about[1]}"
    if not verdict.passed:
        yield "failed: " + ", ".join(check.name for check in verdict.failures)
    if demands.native and verdict.environment.execution != "native":
        yield "tested in an emulated container, and release.execution asks for native"
    if verdict.inputs.drift:
        yield f"drifted from its lock: {', '.join(verdict.inputs.drift)}"
    yield from _other_inputs(verdict, wanted.platforms[platform], wanted, demands)
    if not verdict.source.clean:
        yield "made from a checkout with changes that were not committed"
    elif verdict.source.revision != demands.source.revision:
        found, here = (
            (source.revision or "none")[:_REVISION] for source in (verdict.source, demands.source)
        )
        yield f"of revision {found}; this checkout is {here}"


def _other_inputs(
    verdict: Verdict, inputs: Inputs, wanted: Wanted, demands: Demands
) -> Iterator[str]:
    """Yield where a verdict is not of what this checkout has."""
    for what, found, here in (
        ("judged by other tests", verdict.inputs.suite, demands.suite),
        ("made of another Debian lock", verdict.inputs.debian_lock, inputs.debian_lock),
        ("made of another wheel lock", verdict.inputs.wheel_lock, inputs.wheel_lock),
        ("made of another model", verdict.inputs.model, inputs.model),
        ("of another vector space", verdict.vector_space, wanted.vector_space),
        ("made for another epoch", str(verdict.inputs.epoch), str(demands.epoch)),
    ):
        if found != here:
            yield f"{what} than this checkout has: {found[:_DIGEST]}, not {here[:_DIGEST]}"


def _missing(statements: Statements, kinds: Sequence[Kind]) -> Iterator[str]:
    """Yield what should be said of a digest, and is not, or by nobody who is trusted."""
    if statements.unsigned:
        yield f"no signature that counts: {statements.unsigned}"
    if statements.unreadable:
        yield f"what is stated of it cannot be read: {statements.unreadable}"
        return
    missing = [kind for kind in kinds if kind not in statements.kinds]
    reasons = {
        kind: "; ".join(
            line.removeprefix(f"{kind.word}: ")
            for line in statements.disregarded
            if line.startswith(f"{kind.word}: ")
        )
        for kind in missing
    }
    unsaid = [_word(kind) for kind in missing if not reasons[kind]]
    if unsaid:
        yield f"no {', no '.join(unsaid)}"
    for kind, reason in reasons.items():
        if reason:
            yield f"no {_word(kind)} that counts: {reason}"


def _word(kind: Kind) -> str:
    """Return a kind of statement for people: `test result`."""
    return kind.word.replace("-", " ")
