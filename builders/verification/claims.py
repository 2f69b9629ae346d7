"""Claims: what the statements about an image say, held against the image and each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from builders.attestation import test_result
from builders.attestation.provenance import Provenance
from builders.attestation.statement import Statement
from builders.formats.layout import Layout
from builders.image import LABELS
from builders.inventory.component import Kind
from builders.verdict import Verdict
from builders.verification import sbom

_FETCHED = (Kind.DEBIAN, Kind.WHEEL, Kind.MODEL)
"""The components that come from elsewhere; the service is files of the checkout."""


def about_image(verdict: Verdict, layout: Layout) -> Iterator[str]:
    """Yield in what a verdict is not about an image that passed, and this very one.

    Args:
        verdict: The verdict inside a test result.
        layout: The image, as it was pulled.
    """
    subject = verdict.subject
    for what, said, here in (
        ("manifest", subject.digest, layout.manifest_digest),
        ("configuration", subject.config_digest, layout.config_digest),
        ("layers", subject.diff_ids, tuple(layer.diff_id for layer in layout.layers)),
        ("platform", subject.platform, layout.platform),
        ("size", subject.compressed_bytes, layout.compressed_size),
        *(
            (f"label {LABELS}.{name}", value, layout.run.labels.get(f"{LABELS}.{name}"))
            for name, value in (
                ("backend", verdict.backend),
                ("model", verdict.model),
                ("vector-space", verdict.vector_space),
                ("precision", verdict.precision),
                ("dimension", str(verdict.dimension)),
            )
        ),
    ):
        if said != here:
            yield f"{what}: {here}, and the verdict is about {said}"
    yield from (f"check {check.name} did not pass" for check in verdict.failures)


def about_index(statement: Statement, platforms: Mapping[str, str]) -> Iterator[str]:
    """Yield in what the test result of an index is not about its manifests, each and no other.

    Args:
        statement: The test result.
        platforms: The digest of each platform's manifest, as the index lists them.

    Raises:
        SigningError: It is not the test result of an index.
    """
    said = test_result.platforms_of(statement)
    for platform in sorted(said.keys() | platforms.keys()):
        here, there = platforms.get(platform, "nothing"), said.get(platform, "nothing")
        if here != there:
            yield f"{platform}: {here} in the index, and its test result is about {there}"
    result = statement.predicate.get("result")
    if result not in ("PASSED", "WARNED"):
        yield f"its result is {result}"


def of_provenance(provenance: Provenance, verdict: Verdict) -> Iterator[str]:
    """Yield in what a provenance is not that of the image which the verdict is about.

    Each package and model that the verdict names is one of its inputs, by its sha256.
    """
    definition, results = provenance.build_definition, provenance.run_details.byproducts
    asked, locks = definition.external_parameters, definition.internal_parameters.locks
    inner, subject = verdict.inputs, verdict.subject
    for what, said, judged in (
        ("image", asked.image, subject.name),
        ("backend", asked.backend, verdict.backend),
        ("model", asked.model, verdict.model),
        ("platform", asked.platform, subject.platform),
        ("epoch", definition.internal_parameters.epoch, inner.epoch),
        (
            "locks",
            (locks.debian, locks.wheels, locks.model),
            (inner.debian_lock, inner.wheel_lock, inner.model),
        ),
        (
            "configuration and layers",
            tuple(f"sha256:{each.digest.get('sha256')}" for each in results),
            (subject.config_digest, *subject.diff_ids),
        ),
    ):
        if said != judged:
            yield f"{what}: {said}, and the verdict is about {judged}"
    inputs = {
        sha256
        for each in definition.resolved_dependencies
        for sha256 in (each.digest.get("sha256"), (each.annotations or {}).get("wheel"))
    }
    for component in verdict.components:
        if component.kind in _FETCHED and not inputs & {
            component.sha256,
            f"sha256:{component.sha256}",
        }:
            yield f"{component.kind} {component.name} {component.version}: not among its inputs"


def of_sbom(document: Mapping[str, Any], verdict: Verdict) -> Iterator[str]:
    """Yield in what an SBOM is not that of the image which the verdict is about.

    Whether it lists what the files are is another question: `content`.
    """
    metadata = document.get("metadata")
    subject = metadata.get("component") if isinstance(metadata, Mapping) else None
    said = subject.get("version") if isinstance(subject, Mapping) else None
    if said != verdict.subject.digest:
        yield f"it is about {said}, and the verdict about {verdict.subject.digest}"
    listed, judged = (
        {f"{each} {each.sha256}" for each in some}
        for some in (sbom.listed(document), sbom.of(verdict.components))
    )
    yield from sorted(f"{each}: in the SBOM, and not in the verdict" for each in listed - judged)
    yield from sorted(f"{each}: in the verdict, and not in the SBOM" for each in judged - listed)
