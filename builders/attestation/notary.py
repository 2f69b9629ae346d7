"""The notary: writes down what was found of images and indexes, and signs it where it can.

A signature is made once for each statement and key, and kept: what is published again is the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from builders import recorded, source
from builders import verdict as verdicts
from builders.attestation import files, provenance, test_result
from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Kind, Statement
from builders.errors import SigningError
from builders.files import digest_of, sha256_of, write_atomically
from builders.formats import oci
from builders.formats.layout import Layout, blob_path
from builders.project import Project
from builders.signing import Signer, Trust, verify
from builders.signing.credential import KeyFile
from builders.source import Source
from builders.verdict import Verdict

KEPT = "signatures"
"""The kind of derived directory that holds one envelope."""

ENVELOPE = "envelope.json"
"""Its file there."""

SBOM = "sbom.cdx.json"
"""The file of a directory that holds an SBOM."""


@dataclass(frozen=True, kw_only=True)
class Notary:
    """Who says what was found, and of which revision.

    Attributes:
        project: The checkout.
        source: The revision that it is at.
        signer: Signs, or says why not.
    """

    project: Project
    source: Source
    signer: Signer

    @classmethod
    def of(
        cls, project: Project, environment: Mapping[str, str], note: Callable[[str], None]
    ) -> Notary:
        """Return the notary of a checkout.

        Args:
            project: The checkout.
            environment: Variables of this process.
            note: Told what takes time.

        Raises:
            SigningError: There is a key that cannot be used.
            ToolError: A key is named, and there is no cosign.
        """
        signer = Signer.of(project, environment, note)
        return cls(project=project, source=source.of(project.root), signer=signer)

    def image(self, verdict: Verdict, layout: Layout) -> Verdict:
        """Write the verdict on an image, its SBOM, and what is stated of it.

        Args:
            verdict: On the image, passed or not; perhaps an earlier run's.
            layout: The image.

        Returns:
            The verdict as it is written: with this checkout's revision and files.

        Raises:
            SigningError: It is on another image, or cannot be signed.
        """
        made_from = recorded.of_verdict(self.project, verdict)
        inputs = verdict.inputs.model_copy(update={"files": made_from})
        judged = verdict.model_copy(update={"source": self.source, "inputs": inputs})
        verdicts.write(judged, self.project.verdicts)
        sbom = self._sbom(judged)
        verdicts.write_sbom(judged, sbom, self.project.sboms)
        manifest = blob_path(layout.directory, layout.manifest_digest).read_bytes()
        for statement in _statements(judged, sbom):
            self._write(statement, manifest)
        return judged

    def index(self, name: str, index: bytes, verdicts: Mapping[str, Verdict]) -> Path:
        """Write the test result of a multi-platform index.

        Args:
            name: `<prefix>/<backend>-<model>`.
            index: Its bytes.
            verdicts: On the images of its platforms, by their digests.

        Returns:
            The file that holds it.

        Raises:
            SigningError: There is no verdict on one of its images, or it cannot be signed.
        """
        manifests = oci.Index.model_validate_json(index).manifests
        missing = [each.digest for each in manifests if each.digest not in verdicts]
        if missing:
            raise SigningError(f"no verdict on {', '.join(missing)}", where=name)
        statement = Statement(
            kind=Kind.TEST_RESULT,
            subject_name=name,
            digest=f"sha256:{hashlib.sha256(index).hexdigest()}",
            predicate=test_result.index_predicate([verdicts[each.digest] for each in manifests]),
        )
        return self._write(statement, index)

    def believed(self, manifest: bytes) -> Verdict:
        """Return the verdict that an earlier run, or another machine, stated of an image.

        Where something is signed here, it must be signed by somebody whom the checkout trusts: no
        signature may rest on what anybody could have written.

        Args:
            manifest: The bytes of the image's manifest.

        Raises:
            SigningError: Nothing is stated of it, or nobody who is trusted says so.
        """
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        for attestation in files.read(self.project.attestations, digest):
            if attestation.statement.kind is Kind.TEST_RESULT:
                if self.signer.hand is not None:
                    trust = Trust.of(self.project)
                    verify(attestation, manifest, trust, self.signer.hand.cosign)
                return test_result.verdict_of(attestation.statement)
        raise SigningError(
            "nothing is stated of it",
            where=digest,
            remedy="build its platform's cell again: a verdict that is kept is written anew",
        )

    def _sbom(self, verdict: Verdict) -> str:
        """Return the SBOM of an image, which is made once for each image and way to make it."""
        key = {
            "components": [asdict(component) for component in verdict.components],
            "epoch": verdict.inputs.epoch,
            "library": version("cyclonedx-python-lib"),
            "subject": verdict.subject.model_dump(),
            "suite": verdict.inputs.suite,
        }

        def make(directory: Path) -> None:
            (directory / SBOM).write_text(verdicts.sbom(verdict), encoding="utf-8")

        kept = self.project.store.derived("sboms", digest_of(key).removeprefix("sha256:"), make)
        return (kept / SBOM).read_text(encoding="utf-8")

    def _write(self, statement: Statement, manifest: bytes) -> Path:
        return files.write(self.project.attestations, self._signed(statement, manifest))

    def _signed(self, statement: Statement, manifest: bytes) -> Attestation:
        """Return a statement signed, the same bytes whenever the same key signs it."""
        hand = self.signer.hand
        if hand is None or not isinstance(hand.credential, KeyFile):
            # An identity's signature says when it was made: it is made anew.
            return self.signer.sign(statement, manifest)
        content = hashlib.sha256(statements.to_json(statement)).hexdigest()
        key = {"key": sha256_of(hand.credential.path), "statement": content}

        def make(directory: Path) -> None:
            write_atomically(directory / ENVELOPE, self.signer.sign(statement, manifest).content)

        kept = self.project.store.derived(KEPT, digest_of(key).removeprefix("sha256:"), make)
        return statements.attestation((kept / ENVELOPE).read_bytes(), "dsse")


def _statements(verdict: Verdict, sbom: str) -> Iterator[Statement]:
    for kind, predicate in (
        (Kind.TEST_RESULT, test_result.predicate(verdict)),
        (Kind.PROVENANCE, provenance.predicate(verdict)),
        (Kind.SBOM, json.loads(sbom)),
    ):
        yield Statement(
            kind=kind,
            subject_name=verdict.subject.name,
            digest=verdict.subject.digest,
            predicate=predicate,
        )
