"""Who signs what was found here: a key, an identity, or nobody, with the reason."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builders import tools
from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Statement
from builders.errors import ProcessError, SigningError, ToolError
from builders.project import Project
from builders.signing import arguments, credential, dsse
from builders.signing.cosign import PASSWORD_VARIABLE, Cosign, cosign, run_cosign
from builders.signing.credential import Absent, Credential, KeyFile
from builders.signing.trust import Trust


@dataclass(frozen=True, kw_only=True)
class Hand:
    """What signs, and with which program."""

    cosign: Cosign
    credential: Credential


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Signs statements, or says why not.

    Attributes:
        hand: What signs; None where nothing does.
        reason: Why nothing is signed; empty where it is.
    """

    hand: Hand | None
    reason: str
    _environment: Mapping[str, str] = field(repr=False)  # holds the password

    @classmethod
    def of(
        cls, project: Project, environment: Mapping[str, str], note: Callable[[str], None]
    ) -> Signer:
        """Return who signs here.

        A key's password is tried at once: a wrong one would be noticed after everything is built.

        Args:
            project: The checkout, whose matrix.yaml says who is trusted.
            environment: Variables of this process.
            note: Told what takes time, and what will not be trusted.

        Raises:
            SigningError: A key is named that cannot be used, a password is wrong, or `trust` names
                a file that is no key.
            ToolError: A key is named, and there is no cosign.
        """
        trust = Trust.of(project)
        found = credential.find(environment, trust, home=Path.home())
        if isinstance(found, Absent):
            return cls(hand=None, reason=found.reason, _environment=environment)
        try:
            program = cosign(tools.find("cosign", project.store.cache, note=note))
        except ToolError as error:
            if credential.named_key(environment) is not None:
                raise
            return cls(hand=None, reason=error.problem, _environment=environment)
        if isinstance(found, KeyFile):
            _try(found, program, environment, trust, note)
        elif not program.has_bundles:
            reason = f"{program.program} is older than 2.6, which keyless signing needs"
            return cls(hand=None, reason=reason, _environment=environment)
        hand = Hand(cosign=program, credential=found)
        return cls(hand=hand, reason="", _environment=environment)

    def sign(self, statement: Statement, manifest: bytes) -> Attestation:
        """Return the attestation of a statement: signed, or as it is where nothing signs.

        Args:
            statement: What is stated.
            manifest: The bytes of the manifest or index that it is about.

        Raises:
            SigningError: It is about other bytes, or cosign failed.
        """
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        if statement.digest != digest:
            raise SigningError(f"a statement about {statement.digest}", where=digest)
        if self.hand is None:
            return Attestation(statement=statement, envelope=None, form="statement")
        try:
            return self._signed(self.hand, statements.to_json(statement))
        except ProcessError as error:
            raise SigningError(
                error.problem,
                where=f"{statement.kind.word} of {digest}",
                remedy="see what cosign says above",
            ) from error

    def sign_image(self, reference: str) -> None:
        """Sign a manifest in a registry, which keeps the signature beside it.

        Args:
            reference: `HOST/NAME@DIGEST`.

        Raises:
            ProcessError: cosign failed: the registry's answer is in its lines.
            SigningError: Nothing signs here.
        """
        if self.hand is None:
            raise SigningError(f"cannot be signed: {self.reason}", where=reference)
        argv = arguments.sign(self.hand.cosign, self.hand.credential, reference)
        run_cosign(argv, self._environment)

    def _signed(self, hand: Hand, payload: bytes) -> Attestation:
        with tempfile.TemporaryDirectory() as name:
            content, signature = Path(name) / "statement.json", Path(name) / "signature"
            if isinstance(hand.credential, KeyFile):
                # Not attest-blob: 2's writes the statement anew, as of v0.1 and about a file name,
                # and 3's in another form. What a signature in an envelope is over is the same.
                content.write_bytes(dsse.authenticated(payload))
                argv = arguments.sign_blob(
                    hand.cosign, hand.credential, blob=content, signature=signature
                )
                run_cosign(argv, self._environment)
                envelope = dsse.envelope(payload, signature.read_text("ascii").strip())
                return statements.attestation(envelope, "dsse")
            content.write_bytes(payload)
            argv = arguments.attest_blob(hand.cosign, statement=content, bundle=signature)
            run_cosign(argv, self._environment)
            return statements.attestation(signature.read_bytes(), "sigstore")


def _try(
    key: KeyFile,
    program: Cosign,
    environment: Mapping[str, str],
    trust: Trust,
    note: Callable[[str], None],
) -> None:
    """Read a private key with its password, and tell when nobody would trust it."""
    try:
        public = run_cosign(arguments.public_key(program, key), environment).stdout
    except ProcessError as error:
        raise SigningError(
            f"cannot be read with the password in {PASSWORD_VARIABLE}: "
            + error.problem.splitlines()[-1].strip(" |"),
            where=str(key.path),
            remedy=f"set {PASSWORD_VARIABLE} to the password that the key was made with",
        ) from error
    if trust.required and not trust.knows(public):
        note(
            f"the public key of {key.path} is not among `trust` in matrix.yaml: nobody will accept"
            " what it signs"
        )
