"""Verdicts whose digests are digests, and what is stated of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builders.attestation import provenance, test_result
from builders.attestation.notary import Notary
from builders.attestation.statement import Kind, Statement
from builders.check import Check
from builders.inventory.component import Component
from builders.inventory.component import Kind as Part
from builders.project import Project
from builders.signing.signer import Signer
from builders.source import Source
from builders.verdict import Verdict
from tests.unit.test_outcome import WIDE
from tests.unit.test_outcome import verdict as plain

REVISION = "5" * 40
SOURCE = Source(revision=REVISION, clean=True, repository="https://git.example/equivec.git")
COMPONENTS = (
    Component(
        kind=Part.DEBIAN,
        name="libc6",
        version="2.36-9",
        purl="pkg:deb/debian/libc6@2.36-9?arch=arm64&distro=bookworm",
        sha256="a" * 64,
    ),
    Component(
        kind=Part.WHEEL,
        name="numpy",
        version="2.0.0",
        purl="pkg:pypi/numpy@2.0.0",
        sha256="b" * 64,
        parts=(Component(kind=Part.LIBRARY, name="x.so", version="", purl="", sha256="c" * 64),),
    ),
    Component(
        kind=Part.WHEEL,
        name="compiled",
        version="1.0",
        purl="pkg:pypi/compiled@1.0",
        sha256="d" * 64,
        source="e" * 64,
    ),
    Component(
        kind=Part.MODEL,
        name="fixture-768",
        version="hub:owner/name@0123",
        purl="",
        sha256="f" * 64,
    ),
    Component(kind=Part.SERVICE, name="service", version="", purl="", sha256="1" * 64),
)


def sha(character: str) -> str:
    return f"sha256:{character * 64}"


def verdict(*checks: Check, digest: str = sha("2"), platform: str = "linux/arm64") -> Verdict:
    """Return a verdict as the main job writes it: one that passed, if no check is given."""
    judged = plain(*(checks or (WIDE,)))
    return judged.model_copy(
        update={
            "subject": judged.subject.model_copy(
                update={
                    "digest": digest,
                    "platform": platform,
                    "config_digest": sha("3"),
                    "diff_ids": (sha("4"), sha("5")),
                }
            ),
            "inputs": judged.inputs.model_copy(
                update={
                    "suite": sha("6"),
                    "corpus": sha("7"),
                    "debian_lock": sha("8"),
                    "wheel_lock": sha("9"),
                    "model": sha("f"),
                    "epoch": 1704067200,
                    "files": {"matrix.yaml": "0" * 64},
                }
            ),
            "environment": judged.environment.model_copy(
                update={"builder": {"kind": "private", "buildkit": "0.1"}}
            ),
            "source": SOURCE,
            "components": COMPONENTS,
        }
    )


def statement(judged: Verdict, kind: Kind = Kind.TEST_RESULT) -> Statement:
    """Return what is stated of a verdict's image."""
    predicates: Mapping[Kind, Mapping[str, Any]] = {
        Kind.TEST_RESULT: test_result.predicate(judged),
        Kind.PROVENANCE: provenance.predicate(judged),
        Kind.SBOM: {"bomFormat": "CycloneDX"},
    }
    return Statement(
        kind=kind,
        subject_name=judged.subject.name,
        digest=judged.subject.digest,
        predicate=predicates[kind],
    )


def read_again(predicate: Mapping[str, Any]) -> Any:
    """Return a predicate as whoever gets it reads it."""
    return json.loads(json.dumps(predicate))


def unsigned(project: Project) -> Notary:
    """Return a notary without a key."""
    signer = Signer(hand=None, reason="nobody is named", _environment={})
    return Notary(project=project, source=SOURCE, signer=signer)
