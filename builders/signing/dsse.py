"""DSSE envelopes, and the strict reading of what others say is signed.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import base64
import json
from typing import Any

from builders.attestation.statement import PAYLOAD_TYPE, Form
from builders.errors import SigningError
from builders.files import canonical_json

_ENVELOPE = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE = frozenset({"keyid", "sig"})
_BUNDLE = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope"})


def authenticated(payload: bytes) -> bytes:
    """Return the bytes that a signature of a statement is over: its type and content."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def envelope(payload: bytes, signature: str) -> bytes:
    """Return the envelope of a statement.

    Args:
        payload: The statement's bytes.
        signature: Of its `authenticated` bytes, in base64.
    """
    return canonical_json(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": "", "sig": signature}],
        }
    )


def strict(content: bytes, form: Form) -> bytes:
    """Return an envelope or bundle as whoever reads it reads it.

    JSON readers differ: Go's takes `Payload` for `payload`, ours does not. An envelope with both
    could be verified for the one and believed for the other. So there may be no other keys, and
    what is verified is written anew from what was read.

    Raises:
        SigningError: There is more in it than belongs there.
    """
    try:
        document = json.loads(content)
        inner = document
        if form == "sigstore":
            _only(document, _BUNDLE)
            inner = document["dsseEnvelope"]
        _only(inner, _ENVELOPE)
        for signature in inner["signatures"]:
            _only(signature, _SIGNATURE)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SigningError(
            f"not a {form} envelope ({type(error).__name__}: {error})",
            remedy="get the attestation anew from where it was made",
        ) from error
    return canonical_json(document)


def _only(document: dict[str, Any], keys: frozenset[str]) -> None:
    unknown = sorted(document.keys() - keys)
    if unknown:
        raise SigningError(
            f"an envelope with {', '.join(unknown)}, which does not belong there",
            remedy="get the attestation anew from where it was made",
        )
