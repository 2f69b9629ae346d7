"""A small publication in a directory, with all that is stated of it: everything in it agrees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from builders import publication
from builders.attestation import files as attestation_files
from builders.attestation import provenance, test_result
from builders.attestation.statement import Attestation, Kind, Statement
from builders.files import digest_of
from builders.formats.layout import Layout
from builders.inventory import cyclonedx
from builders.publication import PassedImage
from builders.target import OciTarget
from builders.verdict import Verdict
from builders.verification.published import Published
from tests.unit import attested
from tests.unit.images import EPOCH, file
from tests.unit.sound_image import DECLARED, LABELS, SoundImage, equivec

NAME = "equivec/onnxruntime-tiny"
PLATFORMS = ("linux/amd64", "linux/arm64")

Sign = Callable[[Statement, bytes], Attestation]
"""Makes an attestation of a statement about a manifest."""


def unsigned(statement: Statement, _: bytes) -> Attestation:
    return Attestation(statement=statement, envelope=None, form="statement")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What was published: one image for each platform.

    Attributes:
        target: Where it is.
        verdicts: By platform.
        index: The digest of the index.
    """

    target: OciTarget
    verdicts: dict[str, Verdict]
    index: str

    @property
    def published(self) -> Published:
        return Published(
            target=self.target, name=NAME, digest=self.index, expected=NAME, signed=False
        )

    def state(self, statement: Statement, sign: Sign = unsigned) -> None:
        """State something in the place of what was stated."""
        manifest = self.target.manifest(NAME, statement.digest)
        attestation_files.write(self.target.attested, sign(statement, manifest))

    def stated(self, digest: str, kind: Kind) -> Statement:
        """Return what is stated."""
        found = self.target.attestations(NAME, digest)
        (statement,) = (each.statement for each in found if each.statement.kind is kind)
        return statement


def publish(where: Path, sign: Sign = unsigned) -> Publication:
    """Make images, publish them, and state of them what the main job would."""
    verdicts, passed = {}, []
    for platform in PLATFORMS:
        layout, verdict = image(where / platform.replace("/", "-"), platform)
        verdicts[platform] = verdict
        passed.append(
            PassedImage(
                name=NAME,
                platform=platform,
                layout=layout.directory,
                digest=layout.manifest_digest,
            )
        )
    directory = where / "dist" / "images"
    index = publication.publish(directory, passed, ())[NAME]
    made = Publication(
        target=OciTarget(
            where=f"oci:{directory}",
            directory=directory,
            attested=where / "dist" / "attestations",
        ),
        verdicts=verdicts,
        index=index,
    )
    for statement in (*map(of_index, [made]), *(s for v in verdicts.values() for s in of(v))):
        made.state(statement, sign)
    return made


def of(verdict: Verdict) -> tuple[Statement, ...]:
    """Return what is stated of an image."""
    sbom = cyclonedx.sbom(
        verdict.subject.name, verdict.subject.digest, verdict.components, epoch=EPOCH
    )
    predicates = {
        Kind.TEST_RESULT: test_result.predicate(verdict),
        Kind.PROVENANCE: provenance.predicate(verdict),
        Kind.SBOM: json.loads(sbom),
    }
    return tuple(
        Statement(
            kind=kind,
            subject_name=verdict.subject.name,
            digest=verdict.subject.digest,
            predicate=json.loads(json.dumps(predicate)),
        )
        for kind, predicate in predicates.items()
    )


def of_index(made: Publication) -> Statement:
    """Return what is stated of the index."""
    predicate = test_result.index_predicate(tuple(made.verdicts.values()))
    return Statement(
        kind=Kind.TEST_RESULT,
        subject_name=NAME,
        digest=made.index,
        predicate=json.loads(json.dumps(predicate)),
    )


def image(where: Path, platform: str) -> tuple[Layout, Verdict]:
    """Return an image of a platform, and the verdict that it has passed."""
    sound = sound_image(platform)
    components = sound.audited(where).components
    layout, _ = sound.written(where / "published")
    verdict = attested.verdict(digest=layout.manifest_digest, platform=platform)
    subject = verdict.subject.model_copy(
        update={
            "name": NAME,
            "config_digest": layout.config_digest,
            "diff_ids": tuple(layer.diff_id for layer in layout.layers),
            "compressed_bytes": layout.compressed_size,
        }
    )
    judged = {
        "subject": subject,
        "components": components,
        "backend": "onnxruntime",
        "model": "tiny",
    }
    return layout, verdict.model_copy(update=judged)


def sound_image(platform: str) -> SoundImage:
    """Return an image whose model and service are those that it is said to have."""
    sound = SoundImage()
    weights = hashlib.sha256(b"weights").hexdigest()
    recipe = json.dumps({"name": "tiny", "files": {"model.onnx": weights}}).encode()
    sound.put(file("opt/equivec/model/model.json", recipe))
    sources = {
        path: hashlib.sha256(content).hexdigest()
        for path, content in equivec().items()
        if path.endswith(".py")
    }
    service = digest_of(
        {
            "backend": sources["opt/equivec/backend/backend.py"],
            "service": {
                path.removeprefix("opt/equivec/service/"): sha256
                for path, sha256 in sources.items()
                if path.startswith("opt/equivec/service/")
            },
        }
    ).removeprefix("sha256:")
    digest = hashlib.sha256(recipe).hexdigest()
    sound.expect(
        declared=replace(
            DECLARED,
            model=replace(DECLARED.model, sha256=digest),
            service=replace(DECLARED.service, sha256=service),
            files={"model.json": digest, "model.onnx": weights},
        )
    )
    judged = attested.verdict()
    sound.image.run["Labels"] = {
        **LABELS,
        "io.equivec.model": "tiny",
        "io.equivec.vector-space": judged.vector_space,
        "io.equivec.precision": judged.precision,
        "io.equivec.dimension": str(judged.dimension),
    }
    system, _, architecture = platform.partition("/")
    sound.image.config = {"os": system, "architecture": architecture}
    return sound
