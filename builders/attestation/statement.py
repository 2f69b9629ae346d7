"""In-toto statements, and the forms in which they are kept, signed or not.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from builders.errors import SigningError
from builders.files import canonical_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""What an envelope of a statement says that it holds."""

STATEMENT_TYPES = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
"""What is written, and what cosign 2 writes: they differ in nothing else."""

Form = Literal["dsse", "sigstore", "statement"]
"""A DSSE envelope (signed with a key), a sigstore bundle (keyless), or the statement alone."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    """What is stated: the type of the predicate."""

    TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
    PROVENANCE = "https://slsa.dev/provenance/v1"
    SBOM = "https://cyclonedx.org/bom"

    @property
    def word(self) -> str:
        """The kind in file names and for people: `test-result`."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement about one manifest or index.

    Attributes:
        kind: What is stated.
        subject_name: For people, such as `equivec/onnxruntime-fixture-768`. Not a part of what is
            trusted: cosign puts the name of a file there.
        digest: `sha256:…` of the manifest or index.
        predicate: As JSON is read.
    """

    kind: Kind
    subject_name: str
    digest: str
    predicate: Mapping[str, Any]

    def states(self, other: Statement) -> bool:
        """Whether the other says the same of the same bytes, whatever it calls them."""
        return (self.kind, self.digest, self.predicate) == (
            other.kind,
            other.digest,
            other.predicate,
        )


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """A statement as it is kept and handed on.

    Attributes:
        statement: What it states.
        envelope: The envelope or bundle, byte by byte; None if it is not signed.
        form: Which of them it is.
    """

    statement: Statement
    envelope: bytes | None
    form: Form

    @property
    def content(self) -> bytes:
        """The bytes of its file."""
        return to_json(self.statement) if self.envelope is None else self.envelope


def to_json(statement: Statement) -> bytes:
    """Return a statement's one JSON form."""
    return canonical_json(
        {
            "_type": STATEMENT_TYPES[0],
            "subject": [
                {
                    "name": statement.subject_name,
                    "digest": {"sha256": statement.digest.removeprefix("sha256:")},
                }
            ],
            "predicateType": str(statement.kind),
            "predicate": statement.predicate,
        }
    )


def from_json(content: bytes) -> Statement:
    """Read a statement.

    Raises:
        SigningError: It is not one of the kinds that are known here, or not about one thing.
    """
    try:
        document = json.loads(content)
        if document["_type"] not in STATEMENT_TYPES:
            raise SigningError(f"a statement of the type {document['_type']!r}")
        (subject,) = document["subject"]
        digest = subject["digest"]["sha256"]
        predicate = document["predicate"]
        if not _DIGEST.fullmatch(digest) or not isinstance(predicate, dict):
            raise SigningError("a statement about nothing that has a digest, or without predicate")
        return Statement(
            kind=Kind(document["predicateType"]),
            subject_name=str(subject.get("name", "")),
            digest=f"sha256:{digest}",
            predicate=predicate,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SigningError(
            f"not a statement of a known kind ({type(error).__name__}: {error})"
        ) from error


def from_envelope(content: bytes) -> Statement:
    """Return the statement inside a DSSE envelope or a sigstore bundle, whoever signed it.

    Raises:
        SigningError: It is neither, or holds something else.
    """
    try:
        document = json.loads(content)
        envelope = document.get("dsseEnvelope", document)
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise SigningError(f"an envelope of {envelope['payloadType']!r}, not of a statement")
        payload = base64.b64decode(envelope["payload"], validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise SigningError(
            f"not an envelope of a statement ({type(error).__name__}: {error})"
        ) from error
    return from_json(payload)


def attestation(content: bytes, form: Form) -> Attestation:
    """Return the attestation that bytes of a form are: its statement is what those bytes hold.

    Raises:
        SigningError: They are not of that form.
    """
    if form == "statement":
        return Attestation(statement=from_json(content), envelope=None, form=form)
    return Attestation(statement=from_envelope(content), envelope=content, form=form)
