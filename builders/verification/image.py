"""One image that was pulled, and what is stated of it, held against it and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from builders.attestation import provenance, test_result
from builders.attestation.statement import Kind, Statement
from builders.formats import tree
from builders.formats.layout import Layout
from builders.source import Source
from builders.verdict import Verdict
from builders.verification import claims, content
from builders.verification.stated import Judgement


class Image:
    """An image, and the verdicts about it that counted so far.

    Args:
        layout: What was pulled.
        expected: What verdicts must call it, or the end of that.
        scratch: A directory with room for its unpacked layers.
    """

    def __init__(self, *, layout: Layout, expected: str, scratch: Path) -> None:
        self.verdicts: list[Verdict] = []
        self._layout = layout
        self._expected = expected
        self._scratch = scratch

    def judge(self, statement: Statement) -> Judgement:
        """Say whether what a statement says is so; test results come before the others.

        Raises:
            SigningError: It is malformed, or contradicts itself.
            ArchiveError: A layer holds what no layer may.
        """
        judges: dict[Kind, Callable[[Statement], Judgement]] = {
            Kind.TEST_RESULT: self._test_result,
            Kind.PROVENANCE: self._provenance,
            Kind.SBOM: self._sbom,
        }
        return judges[statement.kind](statement)

    def _test_result(self, statement: Statement) -> Judgement:
        verdict = test_result.verdict_of(statement)
        self.verdicts.append(verdict)
        drift = f", drifted from its lock: {', '.join(verdict.inputs.drift)}"
        return Judgement(
            text=f"{len(verdict.checks)} checks, {verdict.environment.execution} on"
            f" {verdict.environment.cpu}, {verdict.finished}"
            f"{drift if verdict.inputs.drift else ''}",
            findings=(
                *_names(verdict.subject.name, self._expected),
                *claims.about_image(verdict, self._layout),
            ),
        )

    def _provenance(self, statement: Statement) -> Judgement:
        found = provenance.provenance_of(statement)
        definition = found.build_definition
        return Judgement(
            text=f"{len(definition.resolved_dependencies)} inputs by digest,"
            f" {_revision(definition.external_parameters.source)}",
            findings=self._any(lambda each: claims.of_provenance(found, each)),
        )

    def _sbom(self, statement: Statement) -> Judgement:
        with tree.opened(self._layout, scratch=self._scratch) as files:
            check = content.contents(files, statement.predicate)
        return Judgement(
            text=f"{check.figure} components, held against the image's own files",
            findings=(
                *check.details,
                *self._any(lambda each: claims.of_sbom(statement.predicate, each)),
            ),
        )

    def _any(self, findings: Callable[[Verdict], Iterable[str]]) -> tuple[str, ...]:
        """Return what is found against every verdict: nothing, if one of them agrees."""
        found = [tuple(findings(verdict)) for verdict in self.verdicts]
        if not found:
            return ("there is no test result to hold it against",)
        return min(found, key=len)


def _names(name: str, expected: str) -> Iterator[str]:
    """Yield whether an image is another than what it was asked for as."""
    one, other = f"/{name}", f"/{expected}"
    if not (one.endswith(other) or other.endswith(one)):
        yield f"it is {name}, published as {expected} (if that is meant, give --name {name})"


def _revision(source: Source) -> str:
    """Return the source revision, for people."""
    if source.revision is None:
        return "of a checkout without a revision"
    return f"revision {source.revision[:12]}{'' if source.clean else ', with changes to it'}"
