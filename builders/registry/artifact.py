"""Attestations as artifacts of a registry: manifests that refer to what they attest.

https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#guidelines-for-artifact-usage
The same attestation is always the same manifest, so that putting it there twice changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Form, Kind
from builders.files import canonical_json
from builders.formats import oci

TYPES: Mapping[Form, str] = {
    "dsse": "application/vnd.dsse.envelope.v1+json",
    "sigstore": "application/vnd.dev.sigstore.bundle.v0.3+json",
    "statement": statements.PAYLOAD_TYPE,
}
"""What each form of an attestation is called in a registry."""

EMPTY = b"{}"
"""The configuration of an artifact, which has none."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_PREDICATE = "in-toto.io/predicate-type"
_SIGSTORE = {"dev.sigstore.bundle.content": "dsse-envelope"}
_SIGSTORE_PREDICATE = "dev.sigstore.bundle.predicateType"


class Artifact(oci.Manifest):
    """The manifest of an artifact."""

    artifact_type: str = Field(default="", alias="artifactType")


class Referrer(oci.Descriptor):
    """What refers to a manifest, as a registry lists it."""

    artifact_type: str = Field(default="", alias="artifactType")

    @property
    def form(self) -> Form | None:
        """The form of attestation that it is; None if it is something else."""
        return next((form for form, name in TYPES.items() if name == self.artifact_type), None)

    @property
    def kind(self) -> Kind | None:
        """What it says that it attests; None if nothing that is known here."""
        said = self.annotations or {}
        predicate = said.get(_PREDICATE) or said.get(_SIGSTORE_PREDICATE)
        return next((kind for kind in Kind if kind == predicate), None)


def manifest(attestation: Attestation, subject: bytes) -> bytes:
    """Return the manifest that makes an attestation refer to its subject.

    Args:
        attestation: What is attested.
        subject: The bytes of the manifest or index that it is about.
    """
    kind = TYPES[attestation.form]
    predicate = str(attestation.statement.kind)
    annotations = {_PREDICATE: predicate}
    if attestation.form == "sigstore":
        annotations |= {**_SIGSTORE, _SIGSTORE_PREDICATE: predicate}
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": oci.MANIFEST,
            "artifactType": kind,
            "config": _descriptor(EMPTY, _EMPTY_TYPE),
            "layers": [_descriptor(attestation.content, kind)],
            "subject": _descriptor(subject, str(json.loads(subject)["mediaType"])),
            "annotations": annotations,
        }
    )


def fallback_index(referrers: Mapping[str, Any] | None, artifact: bytes) -> bytes:
    """Return the index of what refers to a manifest, for registries that keep none themselves.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema

    Args:
        referrers: The index so far; None if there is none.
        artifact: The manifest to be listed.
    """
    known = [] if referrers is None else list(referrers["manifests"])
    document = json.loads(artifact)
    listed = {
        **_descriptor(artifact, oci.MANIFEST),
        "artifactType": document["artifactType"],
        "annotations": document["annotations"],
    }
    return canonical_json(
        {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [*known, listed]}
    )


def fallback_tag(digest: str) -> str:
    """Return the tag of that index."""
    return digest.replace(":", "-")


def _descriptor(blob: bytes, media_type: str) -> dict[str, Any]:
    return {
        "mediaType": media_type,
        "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}",
        "size": len(blob),
    }
