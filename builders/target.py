"""Where images are published, a directory or a registry: what is there, and its tags.

Names of images are `<prefix>/<backend>-<model>` everywhere, digests `sha256:…`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builders import host, publication
from builders import plan as plans
from builders.attestation import files as attestation_files
from builders.attestation.statement import Attestation
from builders.errors import PublicationError
from builders.listing import TESTED
from builders.project import Project
from builders.registry import attached, client
from builders.registry.client import Registry
from builders.registry.reference import Repository, repository
from builders.selection import Selection

_TECHNICAL = re.compile(r"sha256-[0-9a-f]{64}(\.[a-z]+)?|[a-z]+-[a-z0-9]+-[0-9a-f]{64}")
"""Tags that no release has put: of attestations and signatures, and of platforms' manifests."""


class Target(Protocol):
    """A publication: images by digest, what is attested of them, and tags."""

    @property
    def where(self) -> str:
        """What matrix.yaml calls it: `oci:dist/images`, `docker://ghcr.io/acme`."""

    def reference(self, name: str) -> str:
        """Return what other tools call an image: `ghcr.io/acme/x/a-b`, `oci:dist/images:a-b`."""

    def indexes(self) -> Mapping[str, str]:
        """Return the digest of the newest published index of each image, by the image's name.

        Raises:
            RegistryError: The registry does not answer, or refuses.
            PublicationError: The directory is damaged.
        """

    def index(self, name: str) -> bytes:
        """Return the newest published index of an image.

        Raises:
            RegistryError: There is none there.
            PublicationError: There is none there.
        """

    def manifest(self, name: str, digest: str) -> bytes:
        """Return an index or a platform's manifest, checked against its digest.

        Raises:
            RegistryError: It is not there, or is not what the digest says.
            PublicationError: Likewise.
        """

    def attestations(self, name: str, digest: str) -> tuple[Attestation, ...]:
        """Return what is attested of a manifest or an index, signed or not; nothing is verified.

        A registry may have several of a kind: what was judged again is attested again.

        Raises:
            RegistryError: The manifest is not there.
            SigningError: What should be an attestation is none, or is about something else.
        """

    def released(self, name: str) -> tuple[str, ...]:
        """Return the released tags of an image: their names alone, which is one question."""

    def tags(self, name: str) -> Mapping[str, str]:
        """Return the digest that each released tag of an image is on."""

    def tag(self, name: str, tag: str) -> str | None:
        """Return the digest that a tag is on now; None if there is no such tag."""

    def put_tag(self, name: str, tag: str, digest: str) -> None:
        """Put a tag on an index that is there; another that it was on loses it.

        Raises:
            RegistryError: There is no such index, or the registry refuses.
            PublicationError: There is no such index.
        """

    def copy(self, name: str, digest: str, directory: Path) -> None:
        """Copy a platform's image, with all its blobs, to an OCI image layout of its own.

        Raises:
            RegistryError: It is not there, or a blob is not what its digest says.
            PublicationError: Likewise.
        """


@dataclass(frozen=True, kw_only=True)
class OciTarget:
    """A directory, and another of attestations.

    Attributes:
        where: What matrix.yaml calls it.
        directory: The OCI image layout.
        attested: The directory of attestations, by digest.
    """

    where: str
    directory: Path
    attested: Path

    def reference(self, name: str) -> str:
        """Return `oci:DIRECTORY:<backend>-<model>`."""
        return f"{self.where}:{name.rpartition('/')[2]}"

    def indexes(self) -> Mapping[str, str]:
        """Return the digest of each image's newest index."""
        return publication.indexes(self.directory)

    def index(self, name: str) -> bytes:
        """Return an image's newest index."""
        digest = self.indexes().get(name)
        if digest is None:
            raise PublicationError(f"{name} is not published", where=self.where)
        return publication.document(self.directory, digest)

    def manifest(self, name: str, digest: str) -> bytes:  # noqa: ARG002 (all are in one place)
        """Return an index or a platform's manifest."""
        return publication.document(self.directory, digest)

    def attestations(self, name: str, digest: str) -> tuple[Attestation, ...]:  # noqa: ARG002
        """Return what is attested of a digest: at most one of each kind."""
        return attestation_files.read(self.attested, digest)

    def released(self, name: str) -> tuple[str, ...]:
        """Return the names of the released tags."""
        return tuple(self.tags(name))

    def tags(self, name: str) -> Mapping[str, str]:
        """Return the released tags."""
        return publication.tags(self.directory, name)

    def tag(self, name: str, tag: str) -> str | None:
        """Return the digest that a tag is on."""
        return self.indexes().get(name) if tag == TESTED else self.tags(name).get(tag)

    def put_tag(self, name: str, tag: str, digest: str) -> None:
        """Put a tag on an index."""
        publication.put_tag(self.directory, name, tag, digest)

    def copy(self, name: str, digest: str, directory: Path) -> None:  # noqa: ARG002
        """Copy a platform's image."""
        publication.copy(self.directory, digest, directory)


@dataclass(frozen=True, kw_only=True)
class RegistryTarget:
    """A registry: a repository for each image.

    Attributes:
        where: What matrix.yaml calls it.
        root: What comes before images' names: `ghcr.io/acme`.
        names: Of the images that may be there: registries do not list them.
        registry: How it is asked.
    """

    where: str
    root: str
    names: tuple[str, ...]
    registry: Registry

    def repository(self, name: str) -> Repository:
        """Return where an image is."""
        return repository(f"{self.root}/{name}")

    def reference(self, name: str) -> str:
        """Return `HOST/NAME`."""
        return str(self.repository(name))

    def indexes(self) -> Mapping[str, str]:
        """Return the digest of the index of each image that is there, by the tag of what passed."""
        return self._there({name: (name, TESTED) for name in self.names})

    def index(self, name: str) -> bytes:
        """Return the index that the tag of what passed is on."""
        return self.registry.manifest(self.repository(name).tagged(TESTED))

    def manifest(self, name: str, digest: str) -> bytes:
        """Return an index or a platform's manifest."""
        return self.registry.manifest(self.repository(name).at(digest))

    def attestations(self, name: str, digest: str) -> tuple[Attestation, ...]:
        """Return what is attested of a digest."""
        return attached.read(self.registry, self.repository(name), digest)

    def released(self, name: str) -> tuple[str, ...]:
        """Return the names of the released tags."""
        listed = self.registry.tags(self.repository(name))
        return tuple(tag for tag in listed if tag != TESTED and not _TECHNICAL.fullmatch(tag))

    def tags(self, name: str) -> Mapping[str, str]:
        """Return the released tags."""
        return self._there({tag: (name, tag) for tag in self.released(name)})

    def tag(self, name: str, tag: str) -> str | None:
        """Return the digest that a tag is on."""
        return self.registry.resolve(self.repository(name).tagged(tag))

    def put_tag(self, name: str, tag: str, digest: str) -> None:
        """Put a tag on an index."""
        self.registry.tag(self.repository(name), digest, tag)

    def copy(self, name: str, digest: str, directory: Path) -> None:
        """Copy a platform's image."""
        self.registry.copy_to_layout(self.repository(name).at(digest), directory)

    def _there(self, asked: Mapping[str, tuple[str, str]]) -> Mapping[str, str]:
        """Return the digests that tags of images are on, by any key; what is not there is left out.

        They are asked for side by side.
        """
        with ThreadPoolExecutor() as threads:
            found = threads.map(lambda each: self.tag(*each), asked.values())
            return {key: digest for key, digest in zip(asked, found, strict=True) if digest}


def targets(project: Project, note: Callable[[str], None]) -> tuple[Target, ...]:
    """Return the publications of matrix.yaml, the directory first.

    Raises:
        RegistryError: What is said to be a registry is none.
        ToolError: A registry is named, and there is no program to ask it with.
    """
    return (directory(project), *registries(project, note))


def directory(project: Project) -> OciTarget:
    """Return the publication in a directory; there always is one: registries are filled from it."""
    place = project.publication
    near = place.relative_to(project.root) if place.is_relative_to(project.root) else place
    return OciTarget(where=f"oci:{near}", directory=place, attested=project.attestations)


def registries(project: Project, note: Callable[[str], None]) -> tuple[RegistryTarget, ...]:
    """Return the registries of matrix.yaml; without any, no program is looked for.

    Raises:
        RegistryError: What is said to be a registry is none.
        ToolError: There is no program to ask them with.
    """
    if not project.registries:
        return ()
    cells = plans.plan(project.matrix, Selection(all=True), host.current()).cells
    images = dict.fromkeys(cell.image for cell in cells if cell.kind == "image")
    asked = client.registry(project.store.cache, note=note)
    found = tuple(
        RegistryTarget(
            where=f"docker://{root}", root=root, names=tuple(sorted(images)), registry=asked
        )
        for root in project.registries
    )
    for target in found:
        target.repository(project.matrix.prefix)  # a name that is none is refused here
    return found


def digest_of(content: bytes) -> str:
    """Return `sha256:…` of a manifest or an index."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
