"""Whether an attestation is about given bytes, and signed by somebody who is trusted."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from builders.attestation import statement as statements
from builders.attestation.statement import Attestation
from builders.errors import ProcessError, SigningError
from builders.matrix.trust import Identity
from builders.signing import arguments, dsse
from builders.signing.arguments import Party
from builders.signing.cosign import Cosign, run_cosign, without_password
from builders.signing.trust import Trust


def verify(attestation: Attestation, manifest: bytes, trust: Trust, cosign: Cosign) -> str:
    """Refuse an attestation that nobody who is trusted made about a manifest or index.

    Args:
        attestation: As it was read; what it states is read anew from what was signed.
        manifest: The bytes of the manifest or index that it should be about.
        trust: Whose signatures count.
        cosign: What checks them.

    Returns:
        Who signed it, for people.

    Raises:
        SigningError: It is unsigned, about something else, was changed, or is by somebody else.
    """
    told = attestation.statement
    where = f"{told.kind.word} of {told.digest}"
    if attestation.envelope is None:
        raise SigningError(
            "is not signed", where=where, remedy="sign it where it was made: docs/signing.md"
        )
    envelope = dsse.strict(attestation.envelope, attestation.form)
    signed = statements.from_envelope(envelope)
    if signed != told:
        raise SigningError("does not state what was signed", where=where, remedy=_ANEW)
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    if signed.digest != digest:
        raise SigningError(f"is not about {digest}", where=where, remedy=_ANEW)
    parties: tuple[Party, ...] = trust.identities if attestation.form == "sigstore" else trust.keys
    refusals = []
    with tempfile.TemporaryDirectory() as name:
        written, blob = Path(name) / "envelope.json", Path(name) / "manifest.json"
        written.write_bytes(envelope)
        blob.write_bytes(manifest)
        for party in parties:
            argv = arguments.verify_blob_attestation(
                cosign, party, predicate_type=str(signed.kind), envelope=written, blob=blob
            )
            try:
                run_cosign(argv, without_password(os.environ))
            except ProcessError as error:
                refusals.append(f"{described(party)}: {error.problem.splitlines()[-1].strip(' |')}")
            else:
                return described(party)
    raise SigningError(
        "was changed, or is signed by nobody whom `trust` in matrix.yaml names"
        + "".join(f"\n  | {refusal}" for refusal in refusals),
        where=where,
        remedy="have it signed by one of them, or add who signed it to `trust`",
    )


def described(party: Party) -> str:
    """Return who is trusted, for people."""
    if isinstance(party, Identity):
        return f"{party.subject} (vouched for by {party.issuer})"
    return f"the key {party.name}"


_ANEW = "get the attestation anew from where it was made"
