"""What a publication in a directory lists: the newest index of each image, and what has a tag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import PublicationError
from builders.files import canonical_json, write_atomically
from builders.formats.layout import blob_path
from builders.formats.oci import INDEX

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"

TESTED = "tested"
"""The tag of the newest index of an image, each of whose manifests has passed."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The descriptors that index.json lists.

    Attributes:
        images: Of the newest index of each image, by its name.
        releases: Of indexes that have a tag, by name and tag.
    """

    images: Mapping[str, dict[str, Any]]
    releases: Mapping[tuple[str, str], dict[str, Any]]


def read(directory: Path) -> Listing:
    """Return what is listed; nothing where there is no publication yet.

    Raises:
        PublicationError: It is damaged.
    """
    index = directory / "index.json"
    images: dict[str, dict[str, Any]] = {}
    releases: dict[tuple[str, str], dict[str, Any]] = {}
    if not index.exists():
        return Listing(images=images, releases=releases)
    try:
        for entry in json.loads(index.read_bytes())["manifests"]:
            annotations = entry["annotations"]
            name = str(annotations[CONTAINERD_NAME]).rpartition(":")[0]
            _, released, tag = str(annotations[REF_NAME]).partition(":")
            descriptor = {key: entry[key] for key in ("mediaType", "digest", "size")}
            if released:
                releases[name, tag] = descriptor
            else:
                images[name] = descriptor
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _damaged(directory, error) from error
    return Listing(images=images, releases=releases)


def write(directory: Path, listing: Listing) -> None:
    """List descriptors, in one step."""
    newest = [_entry(name, "", each) for name, each in sorted(listing.images.items())]
    released = [_entry(name, tag, each) for (name, tag), each in sorted(listing.releases.items())]
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [*newest, *released],
    }
    write_atomically(directory / "index.json", canonical_json(document))


def _entry(name: str, tag: str, descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """Return a descriptor under the names by which containerd and the other tools find it."""
    short = name.rpartition("/")[2]
    annotations = {
        CONTAINERD_NAME: f"{name}:{tag or TESTED}",
        REF_NAME: f"{short}:{tag}" if tag else short,
    }
    return {**descriptor, "annotations": annotations}


def platforms(directory: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return the descriptors of an image's manifests, by platform; none if it is not published.

    Raises:
        PublicationError: The publication is damaged.
    """
    descriptor = read(directory).images.get(name)
    if descriptor is None:
        return {}
    try:
        return {
            f"{platform['os']}/{platform['architecture']}": manifest
            for manifest in blob(directory, descriptor["digest"])["manifests"]
            for platform in (manifest["platform"],)
        }
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _damaged(directory, error) from error


def blob(directory: Path, digest: str) -> Any:
    """Return the JSON of a blob."""
    return json.loads(blob_path(directory, digest).read_bytes())


def _damaged(directory: Path, error: Exception) -> PublicationError:
    return PublicationError(
        f"not an OCI image layout of this kind ({type(error).__name__}: {error})",
        where=str(directory / "index.json"),
        remedy=f"delete {directory} and build again: images are kept in the cache",
    )
