"""What machines brought: verdicts as they were signed, and the images that they are on.

A machine brings what it wrote to `dist/`. The files below `verdicts/` only tell which digest it
found for a cell: what counts is stated below `attestations/`. Images are taken from any OCI image
layout among the directories, by their digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders import publication
from builders import verdict as verdicts
from builders.attestation import files as attestation_files
from builders.attestation import test_result
from builders.attestation.statement import Attestation, Kind
from builders.errors import MergeError, SigningError
from builders.formats.layout import blob_path
from builders.verdict import Verdict

VERDICTS, ATTESTATIONS = "verdicts", "attestations"

_OCI = "oci-layout"


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A cell's verdict from one machine; nothing of it is verified yet.

    Attributes:
        machine: The directory that the machine wrote.
        cell: The cell's id.
        digest: `sha256:…` of the platform manifest that the verdict is on.
        attestations: What the machine states of that manifest.
    """

    machine: Path
    cell: str
    digest: str
    attestations: tuple[Attestation, ...]

    @property
    def where(self) -> str:
        """The cell and the machine, for people."""
        return f"{self.cell} from {self.machine}"

    @property
    def verdict(self) -> Verdict:
        """The verdict that is stated.

        Raises:
            SigningError: It is not there or contradicts itself.
        """
        for attestation in self.attestations:
            if attestation.statement.kind is Kind.TEST_RESULT:
                return test_result.verdict_of(attestation.statement)
        raise SigningError(
            f"no test result of {self.digest}",
            where=self.where,
            remedy="bring all that the machine wrote to dist/: attestations/ too",
        )


def find(directories: Iterable[Path]) -> tuple[Brought, ...]:
    """Return what machines brought, however deep an exchange of files has put it.

    Raises:
        MergeError: A directory is not there, or there is no verdict in any.
        PublicationError: A verdict is malformed.
        SigningError: What should be an attestation is none, or is about something else.
    """
    places = tuple(directories)
    for place in places:
        if not place.is_dir():
            raise MergeError("is no directory", where=str(place))
    machines = sorted(
        {found.parent for place in places for found in place.rglob(VERDICTS) if found.is_dir()}
    )
    brought = []
    for machine in machines:
        for path in sorted((machine / VERDICTS).glob("*.json")):
            told = verdicts.read(path)
            digest = told.subject.digest
            attestations = attestation_files.read(machine / ATTESTATIONS, digest)
            brought.append(
                Brought(machine=machine, cell=told.cell, digest=digest, attestations=attestations)
            )
    if not brought:
        raise MergeError(
            "no machine's verdict is there",
            where=", ".join(str(place) for place in places),
            remedy="name the directories that machines wrote: dist/, with verdicts/ in it",
        )
    return tuple(brought)


def layouts(directories: Iterable[Path]) -> tuple[Path, ...]:
    """Return every OCI image layout below directories."""
    return tuple(
        sorted({path.parent for directory in directories for path in directory.rglob(_OCI)})
    )


def holding(digest: str, found: Sequence[Path]) -> Path:
    """Return the first layout that holds a manifest, whose bytes are those of its digest.

    Raises:
        MergeError: None does.
        PublicationError: The bytes are others.
    """
    for place in found:
        if blob_path(place, digest).is_file():
            publication.document(place, digest)
            return place
    raise MergeError(
        f"the image {digest} is in none of the directories",
        remedy="bring the machine's dist/images too, or what `nox -s build -- --to DIR` wrote",
    )
