"""Signatures: who signs, whom matrix.yaml trusts, and whether an attestation is by one of them.

cosign makes and checks every signature. What it signs are statements (builders/attestation), once,
where the image was tested; envelopes travel as files, and publication attaches them.
"""

from builders.signing.cosign import Cosign
from builders.signing.signer import Signer
from builders.signing.trust import Trust
from builders.signing.verification import verify

__all__ = ["Cosign", "Signer", "Trust", "verify"]
