"""The merge: what several machines proved becomes one publication, if all of it belongs together.

What is required is what the selection asks for, not what was brought: an image that nobody brought
stops the merge, and so does one that is not of this checkout. Nothing is written before that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders import plan, publication, tools
from builders import verdict as verdicts
from builders.attestation import files as attestation_files
from builders.attestation.notary import Notary
from builders.attestation.statement import Attestation, Kind
from builders.errors import MergeError, SigningError
from builders.formats import layout
from builders.formats.layout import Layout
from builders.merge import agreement, brought, checkout
from builders.merge.brought import Brought
from builders.outcome import Outcome
from builders.pipeline import Finished
from builders.plan import Cell, Plan
from builders.project import Project
from builders.report import Reporter
from builders.signing import Trust, verify
from builders.signing.cosign import cosign
from builders.verdict import Verdict

KEPT = "merged"
"""The kind of derived directory that holds the layout of an image that was brought."""

NO_IMAGE = "a host's cell has no image to merge: it yields reference vectors"

Verify = Callable[[Attestation, bytes], object]
"""Raises SigningError unless somebody who is trusted has signed an attestation of these bytes."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The verdict that counts for a cell.

    Attributes:
        cell: The cell.
        brought: Where it is from.
        verdict: The verdict.
        place: The layout that holds the image.
    """

    cell: Cell
    brought: Brought
    verdict: Verdict
    place: Path


def planned(found: Plan) -> Plan:
    """Return a plan of images alone."""
    return plan.of_images(found, NO_IMAGE)


def merge(
    project: Project, cells: Sequence[Cell], directories: Sequence[Path], reporter: Reporter
) -> Finished:
    """Bring together what machines proved, ready to be published.

    Args:
        project: The checkout that all of them worked from.
        cells: The images that have to be there.
        directories: What the machines brought.
        reporter: Told what becomes of each cell.

    Raises:
        MergeError: An image is missing, did not pass, or is not of this checkout.
        SigningError: A verdict is not signed by anybody who is trusted, or was changed.
        PublicationError: What was brought is damaged.
        LayoutError: Likewise.
        ToolError: Signatures are required, and there is no cosign.
    """
    with reporter.step("signer") as step:
        notary = Notary.of(project, os.environ, step.note)
        check = _verifier(project, step.note)
    with reporter.step("merge") as step:
        offered = brought.find(directories)
        chosen = _chosen(project, cells, offered, brought.layouts(directories), check)
        layouts = {each.cell.id: _layout(project, each) for each in chosen}
        for word in _not_asked_for(cells, offered):
            step.note(word)
    outcomes = []
    for cell in cells:
        if cell.refused is not None and cell.refusal_expected:
            reporter.refused(cell.id, cell.refused)
            outcomes.append(Outcome(cell=cell, refused=cell.refused))
    for each in chosen:
        _write(project, each)
        reporter.passed(
            each.cell.id, f"{each.verdict.environment.execution}, {each.brought.machine}"
        )
        outcomes.append(Outcome(cell=each.cell, verdict=each.verdict, layout=layouts[each.cell.id]))
    return Finished(
        outcomes=tuple(outcomes),
        engine=None,
        notary=notary,
        withdrawn=_others(project, chosen),
        remarks=tuple(_not_asked_for(cells, offered)),
    )


def _verifier(project: Project, note: Callable[[str], None]) -> Verify | None:
    """Return what verifies signatures; None where matrix.yaml trusts nobody."""
    trust = Trust.of(project)
    if not trust.required:
        return None
    program = cosign(tools.find("cosign", project.store.cache, note=note))
    return lambda attestation, manifest: verify(attestation, manifest, trust, program)


def _chosen(
    project: Project,
    cells: Sequence[Cell],
    offered: Sequence[Brought],
    layouts: Sequence[Path],
    check: Verify | None,
) -> tuple[Chosen, ...]:
    """Return the verdict that counts for each cell.

    Raises:
        MergeError: With every reason why there is none, of all cells.
        SigningError: One is not signed by anybody who is trusted.
    """
    chosen: list[Chosen] = []
    reasons: list[str] = []
    for cell in cells:
        if cell.refused is not None and cell.refusal_expected:
            continue
        found: list[Chosen] = []
        for each in offered:
            if each.cell != cell.id:
                continue
            judged, place = _believed(each, layouts, check)
            refused = agreement.refusals(judged, checkout.wanted(project, cell, judged))
            reasons += [f"{each.where}: {reason}" for reason in refused]
            found.append(Chosen(cell=cell, brought=each, verdict=judged, place=place))
        digests = {each.brought.digest for each in found}
        if not found:
            why = "" if cell.refused is None else f": {cell.refused}"
            reasons.append(f"{cell.id}: no machine brought it{why}")
        elif len(digests) > 1:
            machines = ", ".join(
                f"{each.brought.digest} ({each.brought.machine})" for each in found
            )
            reasons.append(f"{cell.id}: machines proved different images: {machines}")
        else:
            chosen.append(min(found, key=_emulated))
    if reasons:
        listed = "".join(f"\n  {reason}" for reason in reasons)
        raise MergeError(
            f"what was brought cannot be merged:{listed}",
            remedy="prove what is missing, or is of another checkout, on a machine of its platform;"
            " or select less (--only, --platform). Nothing was published",
        )
    return tuple(chosen)


def _believed(each: Brought, layouts: Sequence[Path], check: Verify | None) -> tuple[Verdict, Path]:
    """Return a verdict, and the layout of its image, once everything stated is verified."""
    place = brought.holding(each.digest, layouts)
    manifest = publication.document(place, each.digest)
    kinds = {attestation.statement.kind for attestation in each.attestations}
    missing = [kind.word for kind in Kind if kind not in kinds]
    if missing:
        raise SigningError(
            f"nothing of the kind {', '.join(missing)} is stated of {each.digest}",
            where=each.where,
            remedy="bring all that the machine wrote to dist/: attestations/ too",
        )
    for attestation in each.attestations:
        try:
            if check is not None:
                check(attestation, manifest)
        except SigningError as error:
            raise SigningError(
                f"{error.where}: {error.problem}", where=each.where, remedy=error.remedy
            ) from error
    return each.verdict, place


def _emulated(chosen: Chosen) -> bool:
    return chosen.verdict.environment.execution == "emulated"


def _layout(project: Project, chosen: Chosen) -> Layout:
    """Return the layout of an image that was brought, verified, in this cache.

    Raises:
        MergeError: It is not the image that the verdict describes.
        LayoutError: It is malformed.
        PublicationError: A blob is not there, or not what its digest says.
    """
    digest = chosen.brought.digest
    directory = project.store.derived(
        KEPT,
        digest.removeprefix("sha256:"),
        lambda target: publication.copy(chosen.place, digest, target),
    )
    found = layout.read(directory)
    said = chosen.verdict.subject
    if (found.platform, found.config_digest, tuple(each.diff_id for each in found.layers)) != (
        said.platform,
        said.config_digest,
        said.diff_ids,
    ):
        raise MergeError(
            f"{digest} is not the image that its verdict describes", where=chosen.brought.where
        )
    return found


def _write(project: Project, chosen: Chosen) -> None:
    """Write what a machine stated as this machine's own runs would."""
    verdicts.write(chosen.verdict, project.verdicts)
    verdicts.write_sbom(chosen.verdict, verdicts.sbom(chosen.verdict), project.sboms)
    for attestation in chosen.brought.attestations:
        attestation_files.write(project.attestations, attestation)


def _others(project: Project, chosen: Iterable[Chosen]) -> tuple[tuple[str, str], ...]:
    """Return the platforms of the merged images that were not merged: none may stay in an index.

    What is published of them is of an earlier run, and nobody has compared it with this one's.
    """
    merged = {(each.cell.image, each.cell.platform) for each in chosen}
    names = dict.fromkeys(name for name, _ in merged)
    return tuple(
        (name, platform)
        for name in names
        for platform in project.matrix.platforms
        if (name, platform) not in merged
    )


def _not_asked_for(cells: Iterable[Cell], offered: Iterable[Brought]) -> Iterator[str]:
    """Yield what was brought and is not merged, since the selection does not ask for it."""
    asked = {cell.id for cell in cells}
    names = sorted({each.cell for each in offered} - asked)
    if names:
        yield f"brought, and not selected: {', '.join(names)}"
