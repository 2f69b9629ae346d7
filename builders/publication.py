"""The publication in a directory: one OCI image layout that holds every image that passed.

`index.json` lists one image index per backend and model; each holds a manifest per platform. The
bytes are those that were tested: manifests are copied, never made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import PublicationError
from builders.files import canonical_json, sha256_of, write_atomically

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


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
    images = _read(directory)
    for name, platform in withdrawn:
        images.get(name, {}).pop(platform, None)
    for image in passed:
        _copy_blobs(image, blobs)
        images.setdefault(image.name, {})[image.platform] = _descriptor(image, blobs)

    indexes = {
        name: _write_index(blobs, platforms) for name, platforms in images.items() if platforms
    }
    write_atomically(directory / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
    listing = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                **descriptor,
                "annotations": {
                    CONTAINERD_NAME: f"{name}:latest",
                    REF_NAME: name.rpartition("/")[2],
                },
            }
            for name, descriptor in sorted(indexes.items())
        ],
    }
    write_atomically(directory / "index.json", canonical_json(listing))
    _remove_unreferenced(directory)
    return {name: str(descriptor["digest"]) for name, descriptor in indexes.items()}


def published_digest(directory: Path, name: str, platform: str) -> str | None:
    """Return the digest that is published for an image and platform; None if there is none."""
    descriptor = _read(directory).get(name, {}).get(platform)
    return None if descriptor is None else str(descriptor["digest"])


def _read(directory: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the descriptors that are published, by image name and platform."""
    index = directory / "index.json"
    if not index.exists():
        return {}
    try:
        return {
            entry["annotations"][CONTAINERD_NAME].removesuffix(":latest"): {
                f"{platform['os']}/{platform['architecture']}": manifest
                for manifest in _read_blob(directory, entry["digest"])["manifests"]
                for platform in (manifest["platform"],)
            }
            for entry in json.loads(index.read_bytes())["manifests"]
        }
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise PublicationError(
            f"not an OCI image layout of this kind ({type(error).__name__}: {error})",
            where=str(index),
            remedy=f"delete {directory} and build again: images are kept in the cache",
        ) from error


def _read_blob(directory: Path, digest: str) -> Any:
    """Return the JSON of a blob."""
    return json.loads(
        (directory / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    )


def _copy_blobs(image: PassedImage, blobs: Path) -> None:
    """Copy a tested manifest and all that it refers to; each blob is checked by its digest."""
    source = image.layout / "blobs" / "sha256"
    try:
        manifest = json.loads((source / image.digest.removeprefix("sha256:")).read_bytes())
        referred = [manifest["config"], *manifest["layers"]]
    except (OSError, ValueError, KeyError) as error:
        raise PublicationError(
            f"the tested manifest {image.digest} cannot be read", where=str(image.layout)
        ) from error
    for digest in [str(blob["digest"]) for blob in referred] + [image.digest]:
        name = digest.removeprefix("sha256:")
        target = blobs / name
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
            "mediaType": INDEX_TYPE,
            "manifests": [platforms[platform] for platform in sorted(platforms)],
        }
    )
    name = _write_blob(blobs, content)
    return {"mediaType": INDEX_TYPE, "digest": f"sha256:{name}", "size": len(content)}


def _remove_unreferenced(directory: Path) -> None:
    """Delete blobs that nothing published refers to."""
    used: set[str] = set()
    for entry in json.loads((directory / "index.json").read_bytes())["manifests"]:
        used.add(entry["digest"])
        for descriptor in _read_blob(directory, entry["digest"])["manifests"]:
            manifest = _read_blob(directory, descriptor["digest"])
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
