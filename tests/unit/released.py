"""A publication with images of two platforms, and everything that is stated of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders import publication
from builders.attestation import files, test_result
from builders.attestation.statement import Attestation, Kind, Statement
from builders.release.wanted import Demands, Inputs, Wanted
from builders.source import Source
from builders.target import OciTarget
from builders.verdict import Verdict
from tests.unit import attested
from tests.unit.test_publication import make_image

AMD64, ARM64 = "linux/amd64", "linux/arm64"
PLATFORMS = (AMD64, ARM64)
NAMES = ("equivec/a-b", "equivec/c-d")
LOCKS = Inputs(debian_lock=attested.sha("8"), wheel_lock=attested.sha("9"), model=attested.sha("f"))
DEMANDS = Demands(
    source=Source(revision=attested.REVISION, clean=True),
    suite=attested.sha("6"),
    epoch=1704067200,
    native=True,
)


def wanted(name: str) -> Wanted:
    return Wanted(
        name=name,
        vector_space="sha256:0",
        platforms=dict.fromkeys(PLATFORMS, LOCKS),
        required=PLATFORMS,
        refusals=(),
    )


def judged(name: str, platform: str, digest: str) -> Verdict:
    """Return a verdict that may be released."""
    found = attested.verdict(digest=digest, platform=platform)
    return found.model_copy(
        update={
            "subject": found.subject.model_copy(update={"name": name}),
            "environment": found.environment.model_copy(update={"execution": "native"}),
        }
    )


class Shelf:
    """A publication in a directory.

    Attributes:
        target: The publication.
        digests: Of the images that were published last, by name and platform.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0
        self.target = OciTarget(
            where="oci:images", directory=root / "images", attested=root / "attestations"
        )
        self.digests: dict[tuple[str, str], str] = {}

    def publish(self, *names: str, content: str = "first") -> None:
        """Publish images that have passed, with all that is stated of them."""
        passed = []
        for name in names:
            for platform in PLATFORMS:
                self._count += 1
                layer = f"{name} {platform} {content}".encode()
                layout = self._root / "layouts" / str(self._count)
                made = make_image(layout, platform, layer)
                passed.append(
                    publication.PassedImage(
                        name=name, platform=platform, layout=layout, digest=made.digest
                    )
                )
                self.digests[name, platform] = made.digest
        publication.publish(self.target.directory, passed, [])
        for name in names:
            for platform in PLATFORMS:
                self.state(judged(name, platform, self.digests[name, platform]))
            self.state_index(name)

    def state(self, verdict: Verdict, kinds: Sequence[Kind] = tuple(Kind)) -> None:
        """State a verdict, as the main job does."""
        for kind in kinds:
            self.attest(attested.statement(verdict, kind))

    def state_index(self, name: str) -> None:
        """State the test result of an image's index."""
        verdicts = [judged(name, each, self.digests[name, each]) for each in PLATFORMS]
        self.attest(
            statement_of_index(name, self.index(name), test_result.index_predicate(verdicts))
        )

    def attest(self, statement: Statement) -> None:
        files.write(
            self.target.attested, Attestation(statement=statement, envelope=None, form="statement")
        )

    def index(self, name: str) -> str:
        """Return the digest of an image's newest index."""
        return self.target.indexes()[name]

    def blob(self, digest: str) -> Path:
        return self.target.directory / "blobs" / "sha256" / digest.removeprefix("sha256:")


def statement_of_index(name: str, digest: str, predicate: Mapping[str, Any]) -> Statement:
    return Statement(kind=Kind.TEST_RESULT, subject_name=name, digest=digest, predicate=predicate)
