"""cosign's argument lists, for 2 and 3, with a key and keyless.

With a key, nothing is asked of anybody: no transparency log, no services. 3 has to be told so in
three options, of which 2 (before 2.6) knows one. The envelopes and signatures are the same.
Keyless signatures are in sigstore's public log, where everybody may look them up.
"""

from __future__ import annotations

from pathlib import Path

from builders.matrix.trust import Identity
from builders.signing.cosign import Cosign
from builders.signing.credential import Credential, KeyFile, Keyless

Party = Path | Identity
"""Who is trusted: the public key in a file, or an identity."""


def sign_blob(cosign: Cosign, key: KeyFile, *, blob: Path, signature: Path) -> tuple[str, ...]:
    """Sign the bytes of a file; the signature is written in base64."""
    return (
        *(str(cosign.program), "sign-blob", "--yes", *_signing(cosign, key)),
        *("--output-signature", str(signature), str(blob)),
    )


def attest_blob(cosign: Cosign, *, statement: Path, bundle: Path) -> tuple[str, ...]:
    """Sign a whole statement, keyless; a sigstore bundle is written. Needs cosign 2.6."""
    return (
        *(str(cosign.program), "attest-blob", "--yes", "--new-bundle-format=true"),
        *("--statement", str(statement), "--bundle", str(bundle)),
    )


def verify_blob_attestation(
    cosign: Cosign, party: Party, *, predicate_type: str, envelope: Path, blob: Path
) -> tuple[str, ...]:
    """Verify that a party signed a statement of a type about the bytes of a file.

    Args:
        cosign: The program.
        party: Who must have signed: a key a DSSE envelope, an identity a sigstore bundle.
        predicate_type: The URI.
        envelope: The envelope or bundle.
        blob: What it is about.
    """
    form = (
        ("--bundle", str(envelope), "--new-bundle-format=true")
        if isinstance(party, Identity)
        else ("--signature", str(envelope))
    )
    return (
        *(str(cosign.program), "verify-blob-attestation", *_verifying(cosign, party)),
        *("--type", predicate_type, *form, str(blob)),
    )


def attach_attestation(cosign: Cosign, *, envelope: Path, reference: str) -> tuple[str, ...]:
    """Put an envelope that was made elsewhere beside the manifest it is about, in a registry.

    Args:
        cosign: The program.
        envelope: A DSSE envelope.
        reference: `HOST/NAME@DIGEST`.
    """
    return (
        *(str(cosign.program), "attach", "attestation"),
        *("--attestation", str(envelope), reference),
    )


def sign(cosign: Cosign, credential: Credential, reference: str) -> tuple[str, ...]:
    """Sign a manifest in a registry, by its digest.

    Args:
        cosign: The program.
        credential: Who signs.
        reference: `HOST/NAME@DIGEST`.
    """
    return (
        *(str(cosign.program), "sign", "--yes", *_signing(cosign, credential)),
        reference,
    )


def attest(
    cosign: Cosign,
    credential: Credential,
    *,
    predicate_type: str,
    predicate: Path,
    reference: str,
) -> tuple[str, ...]:
    """Make, sign and attach an attestation of a manifest in a registry."""
    return (
        *(str(cosign.program), "attest", "--yes", *_signing(cosign, credential)),
        *("--type", predicate_type, "--predicate", str(predicate), reference),
    )


def verify(cosign: Cosign, party: Party, reference: str) -> tuple[str, ...]:
    """Verify that a party signed a manifest in a registry."""
    return (str(cosign.program), "verify", *_verifying(cosign, party), reference)


def verify_attestation(
    cosign: Cosign, party: Party, *, predicate_type: str, reference: str
) -> tuple[str, ...]:
    """Verify that a manifest in a registry has an attestation of a type by a party."""
    return (
        *(str(cosign.program), "verify-attestation", *_verifying(cosign, party)),
        *("--type", predicate_type, reference),
    )


def generate_key_pair(cosign: Cosign, *, prefix: Path) -> tuple[str, ...]:
    """Make `<prefix>.key`, encrypted with the password in the environment, and `<prefix>.pub`."""
    return (str(cosign.program), "generate-key-pair", "--output-key-prefix", str(prefix))


def public_key(cosign: Cosign, key: KeyFile) -> tuple[str, ...]:
    """Print the public key of a private one: which takes its password."""
    return (str(cosign.program), "public-key", "--key", str(key.path))


def _signing(cosign: Cosign, credential: Credential) -> tuple[str, ...]:
    if isinstance(credential, Keyless):
        return ()
    plain = ("--new-bundle-format=false", "--use-signing-config=false")
    offline = (*(plain if cosign.has_bundles else ()), "--tlog-upload=false")
    return ("--key", str(credential.path), *offline)


def _verifying(cosign: Cosign, party: Party) -> tuple[str, ...]:
    if isinstance(party, Identity):
        exactly = "" if not party.subject.startswith("^") else "-regexp"
        return (
            *(f"--certificate-identity{exactly}", party.subject),
            *("--certificate-oidc-issuer", party.issuer),
        )
    plain = ("--new-bundle-format=false",) if cosign.has_bundles else ()
    return ("--key", str(party), *plain, "--insecure-ignore-tlog=true")
