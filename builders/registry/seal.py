"""What cosign puts into a registry: the signatures of digests, and envelopes where it finds them.

The same envelopes are attached as artifacts (`attached`), which other tools list. cosign's own
commands look for them under tags, such as `sha256-<hex>.att`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from builders.attestation.statement import Attestation
from builders.errors import ProcessError
from builders.registry.artifact import Artifact, fallback_tag
from builders.registry.client import Registry, digest_of
from builders.registry.faults import RegistryFault, fault_of, patiently
from builders.registry.reference import Reference, Repository
from builders.signing import arguments
from builders.signing.arguments import Party
from builders.signing.cosign import Cosign, run_cosign, without_password
from builders.signing.signer import Signer
from builders.signing.trust import Trust


@dataclass(frozen=True, kw_only=True)
class Seal:
    """Who signs what is in a registry, and with what.

    Attributes:
        signer: Signs digests, or nothing, with a reason.
        trust: Whose signature is enough.
        cosign: Returns the program; asked only where something is signed.
    """

    signer: Signer
    trust: Trust
    cosign: Callable[[], Cosign]

    def envelopes(
        self,
        registry: Registry,
        repository: Repository,
        digest: str,
        attestations: Iterable[Attestation],
    ) -> None:
        """Let cosign attach the envelopes of a digest that it would not find.

        Raises:
            RegistryError: The registry refuses.
        """
        envelopes = [each.envelope for each in attestations if each.form == "dsse"]
        if not envelopes:
            return
        found = repository.tagged(f"{fallback_tag(digest)}.att")
        there: frozenset[str] = frozenset()
        if registry.resolve(found) is not None:
            layers = Artifact.model_validate_json(registry.manifest(found)).layers
            there = frozenset(layer.digest for layer in layers)
        for envelope in envelopes:
            content = as_cosign_writes(envelope or b"")
            if digest_of(content) not in there:
                self._attach(registry, repository.at(digest), content)

    def signature(self, registry: Registry, reference: Reference) -> None:
        """Sign a digest, where something signs and nobody who is trusted has signed it.

        Raises:
            RegistryError: The registry refuses.
        """
        if self.signer.hand is None or self._is_signed(registry, reference):
            return
        _patiently(registry, reference, lambda: self.signer.sign_image(str(reference)))

    def _is_signed(self, registry: Registry, reference: Reference) -> bool:
        parties: tuple[Party, ...] = (*self.trust.keys, *self.trust.identities)
        tag = f"{fallback_tag(reference.digest or '')}.sig"
        if not parties:
            return registry.resolve(reference.repository.tagged(tag)) is not None
        return any(self._verifies(party, reference) for party in parties)

    def _verifies(self, party: Party, reference: Reference) -> bool:
        argv = arguments.verify(self.cosign(), party, str(reference))
        try:
            run_cosign(argv, without_password(os.environ))
        except ProcessError:
            return False  # if it is the registry's fault, signing tells
        return True

    def _attach(self, registry: Registry, reference: Reference, envelope: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="equivec-") as directory:
            file = Path(directory) / "envelope.json"
            file.write_bytes(envelope)
            argv = arguments.attach_attestation(
                self.cosign(), envelope=file, reference=str(reference)
            )
            _patiently(registry, reference, lambda: run_cosign(argv, without_password(os.environ)))


def as_cosign_writes(envelope: bytes) -> bytes:
    """Return an envelope in the order in which cosign writes it, by which it is found again."""
    document = json.loads(envelope)
    ordered = {
        "payloadType": document["payloadType"],
        "payload": document["payload"],
        "signatures": [
            {"keyid": each["keyid"], "sig": each["sig"]} for each in document["signatures"]
        ],
    }
    return json.dumps(ordered, separators=(",", ":")).encode()


def _patiently(registry: Registry, reference: Reference, work: Callable[[], object]) -> None:
    """Let cosign do something with a registry, again where what keeps it from that passes."""

    def once() -> None:
        try:
            work()
        except ProcessError as error:
            fault = fault_of(error.problem)
            raise RegistryFault(fault, error.problem, where=str(reference)) from error

    patiently(once, registry.patience, registry.note)
