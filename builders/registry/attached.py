"""Attestations in a registry, beside what they are about: put there, and read."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from builders.attestation import statement as statements
from builders.attestation.statement import Attestation
from builders.errors import RegistryError, SigningError
from builders.files import canonical_json, write_atomically
from builders.formats import oci
from builders.formats.layout import blob_path
from builders.registry import artifact
from builders.registry.artifact import Artifact
from builders.registry.client import Registry, digest_of
from builders.registry.reference import Repository

LARGEST = 64 * 2**20
"""Bytes of the longest attestation that is read."""


@dataclass(frozen=True, kw_only=True)
class Attested:
    """A manifest or an index, and what is attested of it."""

    document: bytes
    attestations: tuple[Attestation, ...]

    @property
    def digest(self) -> str:
        """The document's digest."""
        return digest_of(self.document)

    @property
    def artifacts(self) -> Mapping[str, tuple[bytes, Attestation]]:
        """Each attestation, and the manifest that makes it refer to the document, by its digest."""
        return {
            digest_of(manifest): (manifest, attestation)
            for attestation in self.attestations
            for manifest in (artifact.manifest(attestation, self.document),)
        }


def put(
    registry: Registry,
    repository: Repository,
    whole: Attested,
    manifests: Iterable[Attested],
    blobs: Path,
) -> None:
    """Put an index and its images there, with what is attested of them; what is there stays.

    Args:
        registry: How the registry is asked.
        repository: Where.
        whole: The index.
        manifests: The manifests that the index lists.
        blobs: The layout that holds the images' blobs.

    Raises:
        RegistryError: The registry refuses, does not have a manifest that is listed, or does not
            list what was attached.
    """
    everything = (*manifests, whole)
    with tempfile.TemporaryDirectory(prefix="equivec-") as directory:
        write(Path(directory), everything, blobs)
        registry.copy_with_referrers(Path(directory), whole.digest, repository)
        for each in everything[:-1]:
            # Where the index is there, oras takes for granted that its manifests are.
            if registry.resolve(repository.at(each.digest)) is None:
                registry.copy_from_layout(Path(directory), each.digest, repository)
    for subject, manifest in unlisted(registry, repository, everything):
        _list(registry, repository, subject, manifest)


def unlisted(
    registry: Registry, repository: Repository, everything: Iterable[Attested]
) -> Iterator[tuple[str, bytes]]:
    """Yield the artifacts that a registry does not list, each after what it refers to.

    Raises:
        RegistryError: A document itself is not there, or the registry refuses.
    """
    documents = tuple(everything)
    with ThreadPoolExecutor() as threads:
        listings = threads.map(
            registry.referrers, [repository.at(each.digest) for each in documents]
        )
        for each, listing in zip(documents, listings, strict=True):
            listed = {one.digest for one in listing}
            for digest, (manifest, _) in each.artifacts.items():
                if digest not in listed:
                    yield each.digest, manifest


def write(directory: Path, everything: Iterable[Attested], blobs: Path) -> None:
    """Write a layout of images, indexes, and what is attested of them.

    Args:
        directory: The layout.
        everything: Manifests and indexes, each with what is attested of it.
        blobs: The layout that holds the images' blobs, which are linked.
    """
    roots: list[bytes] = []

    def add(content: bytes) -> str:
        path = blob_path(directory, digest_of(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest_of(content)

    add(artifact.EMPTY)
    for each in everything:
        roots.append(each.document)
        for digest in _blobs(each.document):
            path = blob_path(directory, digest)
            if not path.exists():
                path.symlink_to(blob_path(blobs, digest).resolve())
        for manifest, attestation in each.artifacts.values():
            add(attestation.content)
            roots.append(manifest)
    listed = [
        {"mediaType": json.loads(root)["mediaType"], "digest": add(root), "size": len(root)}
        for root in roots
    ]
    index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": listed}
    write_atomically(directory / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
    write_atomically(directory / "index.json", canonical_json(index))


def read(registry: Registry, repository: Repository, digest: str) -> tuple[Attestation, ...]:
    """Return what is attested of a manifest, signed or not; nothing is verified.

    There may be several of a kind: what was judged again is attested again.

    Raises:
        RegistryError: It is not there, or the registry refuses.
        SigningError: What is attached as an attestation is none, or is about something else.
    """
    found = []
    for referrer in registry.referrers(repository.at(digest)):
        if referrer.form is None or referrer.kind is None:
            continue
        where = str(repository.at(referrer.digest))
        manifest = registry.manifest(repository.at(referrer.digest))
        try:
            (layer,) = Artifact.model_validate_json(manifest).layers
        except (ValidationError, ValueError) as error:
            raise SigningError("not the manifest of an attestation", where=where) from error
        if layer.size > LARGEST:
            raise SigningError(f"an attestation of {layer.size} bytes", where=where)
        content = registry.blob(repository, layer.digest)
        attestation = statements.attestation(content, referrer.form)
        if attestation.statement.digest != digest:
            raise SigningError(
                f"attached to {digest}, and about {attestation.statement.digest}", where=where
            )
        found.append(attestation)
    return tuple(found)


def _blobs(document: bytes) -> tuple[str, ...]:
    """Return the digests of an image's configuration and layers; an index has none."""
    if json.loads(document)["mediaType"] == oci.INDEX:
        return ()
    manifest = oci.Manifest.model_validate_json(document)
    return (manifest.config.digest, *(layer.digest for layer in manifest.layers))


def _list(registry: Registry, repository: Repository, subject: str, manifest: bytes) -> None:
    """List an artifact that was put there by a run which ended before it was listed.

    oras lists what it puts there, not what it finds there.
    """
    tag = repository.tagged(artifact.fallback_tag(subject))
    known = None if registry.resolve(tag) is None else json.loads(registry.manifest(tag))
    registry.put(tag, artifact.fallback_index(known, manifest))
    listed = {one.digest for one in registry.referrers(repository.at(subject))}
    if digest_of(manifest) not in listed:
        raise RegistryError(
            f"does not list {digest_of(manifest)}, which refers to it",
            where=str(repository.at(subject)),
            remedy="delete that manifest there, then run this again",
        )
