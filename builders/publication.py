"""The publication in a directory: one OCI image layout that holds every image that passed.

`index.json` lists one image index per backend and model; each holds a manifest per platform. The
bytes are those that were tested: manifests are copied, never made anew. Releases are further
entries, `<backend>-<model>:<tag>`, which stay when other images pass.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import listing
from builders.errors import PublicationError
from builders.files import canonical_json, sha256_of, write_atomically
from builders.formats.layout import blob_path
from builders.formats.oci import INDEX
from builders.listing import Listing


@dataclass(frozen=True, kw_only=True)
class PassedImage:
    """An image that passed: where its layout is, and which manifest was tested.

    Attributes:
        name: `<prefix>/<backend>-<model>`.
        platform: `linux/arm64`.
        layout: The directory of its OCI image layout.
        digest: `sha256:…` of the platform manifest that was tested.
    """

    name: str
    platform: str
    layout: Path
    digest: str


def publish(
    directory: Path, passed: Iterable[PassedImage], withdrawn: Iterable[tuple[str, str]]
) -> Mapping[str, str]:
    """Add images that passed to a publication, and take those out that no longer do.

    Images of other cells stay as they are. The list of images changes in one step, after every
    byte is there.

    Args:
        directory: The publication's OCI image layout; made if it is not there.
        passed: The images that passed.
        withdrawn: Name and platform of those that did not.

    Returns:
        The digest of the multi-platform index of each image name.

    Raises:
        PublicationError: The publication is damaged, or a layout does not hold the tested manifest.
    """
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        before = listing.read(directory)
        images = {name: listing.platforms(directory, name) for name in before.images}
        for name, platform in withdrawn:
            images.get(name, {}).pop(platform, None)
        checked: set[str] = set()
        for image in passed:
            _copy_blobs(image.layout, image.digest, blobs, checked)
            images.setdefault(image.name, {})[image.platform] = _descriptor(image, blobs)
        indexes = {
            name: _write_index(blobs, platforms) for name, platforms in images.items() if platforms
        }
        write_atomically(directory / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
        listing.write(directory, Listing(images=indexes, releases=before.releases))
        _remove_unreferenced(directory)
    return {name: str(descriptor["digest"]) for name, descriptor in indexes.items()}


def indexes(directory: Path) -> Mapping[str, str]:
    """Return the digest of each image's index, by the image's name.

    Raises:
        PublicationError: The publication is damaged.
    """
    found = listing.read(directory).images
    return {name: str(descriptor["digest"]) for name, descriptor in found.items()}


def tags(directory: Path, name: str) -> Mapping[str, str]:
    """Return the digest of the index that each released tag of an image is on.

    Raises:
        PublicationError: The publication is damaged.
    """
    found = listing.read(directory).releases
    return {tag: str(each["digest"]) for (image, tag), each in found.items() if image == name}


def put_tag(directory: Path, name: str, tag: str, digest: str) -> None:
    """Put a tag on an index of an image; another that it was on loses it.

    Raises:
        PublicationError: There is no such index of that image.
    """
    if not directory.is_dir():
        raise PublicationError(f"{name} is not published", where=str(directory))
    with _alone(directory):
        before = listing.read(directory)
        released = [each for (image, _), each in before.releases.items() if image == name]
        there = [*filter(None, [before.images.get(name)]), *released]
        found = [descriptor for descriptor in there if descriptor["digest"] == digest]
        if not found:
            raise PublicationError(f"{name} has no index {digest}", where=str(directory))
        releases = {**before.releases, (name, tag): found[0]}
        listing.write(directory, Listing(images=before.images, releases=releases))
        _remove_unreferenced(directory)


def document(directory: Path, digest: str) -> bytes:
    """Return an index or a manifest.

    Raises:
        PublicationError: It is not there, or is not what its digest says.
    """
    try:
        content = blob_path(directory, digest).read_bytes()
    except OSError as error:
        raise PublicationError(f"{digest} is not there", where=str(directory)) from error
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if found != digest:
        raise PublicationError(
            f"{digest} holds the bytes of {found}",
            where=str(directory),
            remedy="publish it again: images are kept in the cache",
        )
    return content


def copy(directory: Path, digest: str, target: Path) -> None:
    """Copy a platform's image to a layout of its own.

    Raises:
        PublicationError: It is not there, or a blob is not what its digest says.
    """
    blobs = target / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    _copy_blobs(directory, digest, blobs, set())
    content = document(target, digest)
    media_type = json.loads(content)["mediaType"]
    listed = {"mediaType": media_type, "digest": digest, "size": len(content)}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed]}
    write_atomically(target / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
    write_atomically(target / "index.json", canonical_json(index))


def published_digest(directory: Path, name: str, platform: str) -> str | None:
    """Return the digest that is published for an image and platform; None if there is none."""
    descriptor = listing.platforms(directory, name).get(platform)
    return None if descriptor is None else str(descriptor["digest"])


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Change a publication while nobody else does, from whatever checkout or cache."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _copy_blobs(layout: Path, tested: str, blobs: Path, checked: set[str]) -> None:
    """Copy a tested manifest and all that it refers to; each blob is checked by its digest.

    Args:
        layout: Where they are.
        tested: The manifest's digest.
        blobs: Where they go.
        checked: Those that were checked there before, for images share layers; it grows.
    """
    source = layout / "blobs" / "sha256"
    try:
        manifest = listing.blob(layout, tested)
        referred = [manifest["config"], *manifest["layers"]]
    except (OSError, ValueError, KeyError) as error:
        raise PublicationError(
            f"the tested manifest {tested} cannot be read", where=str(layout)
        ) from error
    for digest in [str(blob["digest"]) for blob in referred] + [tested]:
        name = digest.removeprefix("sha256:")
        target = blobs / name
        if name in checked:
            continue
        checked.add(name)
        if target.exists() and sha256_of(target) == name:
            continue
        partial = target.with_suffix(".partial")
        shutil.copyfile(source / name, partial)
        if sha256_of(partial) != name:
            partial.unlink()
            raise PublicationError(
                f"blob {digest} is damaged",
                where=str(source),
                remedy="build again with --fresh",
            )
        partial.replace(target)


def _descriptor(image: PassedImage, blobs: Path) -> dict[str, Any]:
    """Describe a platform manifest for an image index."""
    manifest = blobs / image.digest.removeprefix("sha256:")
    system, architecture = image.platform.split("/")
    return {
        "mediaType": json.loads(manifest.read_bytes())["mediaType"],
        "digest": image.digest,
        "size": manifest.stat().st_size,
        "platform": {"architecture": architecture, "os": system},
    }


def _write_index(blobs: Path, platforms: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Write the multi-platform index of one image, and describe it."""
    content = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [platforms[platform] for platform in sorted(platforms)],
        }
    )
    name = _write_blob(blobs, content)
    return {"mediaType": INDEX, "digest": f"sha256:{name}", "size": len(content)}


def _remove_unreferenced(directory: Path) -> None:
    """Delete blobs that nothing published refers to."""
    used: set[str] = set()
    for entry in json.loads((directory / "index.json").read_bytes())["manifests"]:
        used.add(entry["digest"])
        for descriptor in listing.blob(directory, entry["digest"])["manifests"]:
            manifest = listing.blob(directory, descriptor["digest"])
            used.add(descriptor["digest"])
            used.update(blob["digest"] for blob in (manifest["config"], *manifest["layers"]))
    for blob in (directory / "blobs" / "sha256").iterdir():
        if f"sha256:{blob.name}" not in used:
            blob.unlink()


def _write_blob(blobs: Path, content: bytes) -> str:
    """Write a blob by its sha256, and return that."""
    name = hashlib.sha256(content).hexdigest()
    if not (blobs / name).exists():
        write_atomically(blobs / name, content)
    return name
