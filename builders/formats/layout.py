"""An OCI image layout on disk, read strictly: what a build produces and what is tested.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from builders.errors import LayoutError
from builders.files import sha256_of
from builders.formats import oci
from builders.formats.layer import MEDIA_TYPES, UNPACKED_LIMIT, unpacked

_LARGEST_DOCUMENT = 4 * 2**20
_ATTESTATION = "attestation-manifest"
_REMEDY = "delete the directory and build the image again"

Remember = Callable[[tuple[str, ...], Callable[[], int]], int]
"""Returns what a calculation gives, by a key that names all that it depends on; it may have been
done before."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: its blob, and what that unpacks to.

    `size` and `unpacked_size` are bytes; `created_by` is the instruction that made it, as
    the builder wrote it down.
    """

    digest: str
    diff_id: str
    media_type: str
    size: int
    unpacked_size: int
    created_by: str


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How a container of the image is started, unless told otherwise."""

    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[str, ...]
    working_directory: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The one image of a layout, each byte of it verified.

    Attributes:
        directory: Where it is.
        manifest_digest: `sha256:…` of the platform manifest: the image's identity.
        config_digest: `sha256:…` of the image's configuration.
        platform: `linux/arm64`.
        layers: From the lowest to the topmost.
        compressed_size: Bytes that a registry serves: manifest, configuration and layers.
        annotations: Of the manifest.
        created: When the image was made, as its configuration says.
        history: When each of its steps was made, as far as the configuration says.
        run: How a container is started.
    """

    directory: Path
    manifest_digest: str
    config_digest: str
    platform: str
    layers: tuple[Layer, ...]
    compressed_size: int
    annotations: Mapping[str, str]
    created: datetime | None
    history: tuple[datetime, ...]
    run: RunConfig


def calculate(_key: tuple[str, ...], calculation: Callable[[], int]) -> int:
    """Remember nothing: see `Remember`."""
    return calculation()


def read(directory: Path, *, limit: int = UNPACKED_LIMIT, remember: Remember = calculate) -> Layout:
    """Read and verify a layout that holds one image (beside attestations, which are left aside).

    Args:
        directory: Where the layout is.
        limit: The most bytes that each layer may unpack to.
        remember: Knows of blobs that were unpacked before what came out. That a blob has the bytes
            of its digest is seen each time; what these unpack to never changes.

    Raises:
        LayoutError: It is malformed, holds another number of images, or a blob is not what its
            descriptor or the configuration says.
        ArchiveError: A layer does not decompress.
    """
    version = _parse(oci.Version, _content(directory / "oci-layout"), "oci-layout")
    if version.image_layout_version != "1.0.0":
        raise _error(directory, f"unknown layout version {version.image_layout_version!r}")
    descriptor = _image(directory)
    manifest = _document(directory, descriptor, oci.Manifest)
    if manifest.config.media_type != oci.CONFIG:
        raise _error(directory, f"the configuration is of the type {manifest.config.media_type!r}")
    config = _document(directory, manifest.config, oci.Config)
    if descriptor.platform is not None and descriptor.platform.name != config.name:
        raise _error(
            directory,
            f"the index says {descriptor.platform.name}, the configuration says {config.name}",
        )
    layers = _layers(directory, manifest, config, limit, remember)
    return Layout(
        directory=directory,
        manifest_digest=descriptor.digest,
        config_digest=manifest.config.digest,
        platform=config.name,
        layers=layers,
        compressed_size=descriptor.size + manifest.config.size + sum(la.size for la in layers),
        annotations=manifest.annotations or {},
        created=config.created,
        history=tuple(step.created for step in config.history or () if step.created is not None),
        run=RunConfig(
            user=config.config.user,
            entrypoint=config.config.entrypoint or (),
            command=config.config.command or (),
            environment=config.config.environment or (),
            working_directory=config.config.working_directory,
            labels=config.config.labels or {},
        ),
    )


def blob_path(directory: Path, digest: str) -> Path:
    """Return where a layout keeps the blob of a digest."""
    return directory / "blobs" / "sha256" / digest.removeprefix("sha256:")


def remove_ingest(directory: Path) -> None:
    """Remove the directory of unfinished writes that BuildKit leaves in a layout."""
    ingest = directory / "ingest"
    if ingest.exists():
        shutil.rmtree(ingest)


_D = TypeVar("_D", bound=oci.Document)


def _image(directory: Path) -> oci.Descriptor:
    """Return the descriptor of the layout's one image manifest."""
    index = _parse(oci.Index, _content(directory / "index.json"), "index.json")
    found = list(_images(directory, index, nested=False))
    if len(found) != 1:
        raise _error(directory, f"holds {len(found)} images, not one")
    return found[0]


def _images(directory: Path, index: oci.Index, *, nested: bool) -> Iterator[oci.Descriptor]:
    for descriptor in index.manifests:
        if (descriptor.annotations or {}).get("vnd.docker.reference.type") == _ATTESTATION:
            continue
        if descriptor.media_type == oci.MANIFEST:
            yield descriptor
        elif descriptor.media_type == oci.INDEX and not nested:
            yield from _images(directory, _document(directory, descriptor, oci.Index), nested=True)
        else:
            raise _error(directory, f"{descriptor.digest} is of the type {descriptor.media_type!r}")


def _layers(
    directory: Path,
    manifest: oci.Manifest,
    config: oci.Config,
    limit: int,
    remember: Remember,
) -> tuple[Layer, ...]:
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise _error(
            directory,
            f"the manifest has {len(manifest.layers)} layers, the configuration {len(diff_ids)}",
        )
    steps = [step.created_by for step in config.history or () if not step.empty_layer]
    if steps and len(steps) != len(diff_ids):
        raise _error(
            directory, f"the history has {len(steps)} layers, the configuration {len(diff_ids)}"
        )

    def layer(descriptor: oci.Descriptor, diff_id: str, created_by: str) -> Layer:
        if descriptor.media_type not in MEDIA_TYPES:
            raise _error(directory, f"layer {descriptor.digest} is a {descriptor.media_type!r}")
        _verify_blob(directory, descriptor)
        return Layer(
            digest=descriptor.digest,
            diff_id=diff_id,
            media_type=descriptor.media_type,
            size=descriptor.size,
            unpacked_size=remember(
                (descriptor.digest, descriptor.media_type, diff_id, str(limit)),
                lambda: _unpacked_size(directory, descriptor, diff_id, limit),
            ),
            created_by=created_by,
        )

    with ThreadPoolExecutor() as pool:  # hashing and decompressing release the interpreter's lock
        return tuple(pool.map(layer, manifest.layers, diff_ids, steps or [""] * len(diff_ids)))


def _unpacked_size(directory: Path, descriptor: oci.Descriptor, diff_id: str, limit: int) -> int:
    """Return how many bytes a layer unpacks to, all of it being what it should be."""
    blob = blob_path(directory, descriptor.digest)
    digest, size = hashlib.sha256(), 0
    for chunk in unpacked(blob, descriptor.media_type):
        digest.update(chunk)
        size += len(chunk)
        if size > limit:
            raise _error(directory, f"layer {descriptor.digest} unpacks to more than {limit} bytes")
    if f"sha256:{digest.hexdigest()}" != diff_id:
        raise _error(
            directory,
            f"layer {descriptor.digest} unpacks to sha256:{digest.hexdigest()}, "
            f"the configuration says {diff_id}",
        )
    return size


def _document(directory: Path, descriptor: oci.Descriptor, document: type[_D]) -> _D:
    """Return the document that a descriptor refers to."""
    return _parse(document, _content(_verify_blob(directory, descriptor)), descriptor.digest)


def _verify_blob(directory: Path, descriptor: oci.Descriptor) -> Path:
    """Return the path of a blob whose size and digest are the descriptor's."""
    path = blob_path(directory, descriptor.digest)
    if not path.is_file():
        raise _error(directory, f"blob {descriptor.digest} is not there")
    if path.stat().st_size != descriptor.size:
        raise _error(
            directory,
            f"blob {descriptor.digest} has {path.stat().st_size} bytes, not {descriptor.size}",
        )
    found = sha256_of(path)
    if f"sha256:{found}" != descriptor.digest:
        raise _error(directory, f"blob {descriptor.digest} holds the bytes of sha256:{found}")
    return path


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_DOCUMENT + 1)
    except OSError as error:
        raise _error(path.parent, f"cannot read {path.name}: {error.strerror}") from error
    if len(content) > _LARGEST_DOCUMENT:
        raise _error(path.parent, f"{path.name} is longer than {_LARGEST_DOCUMENT} bytes")
    return content


def _parse(document: type[_D], content: bytes, name: str) -> _D:
    try:
        return document.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise LayoutError(
            f"{name} is malformed: {f'{place}: ' if place else ''}{first['msg']}", remedy=_REMEDY
        ) from error


def _error(directory: Path, problem: str) -> LayoutError:
    return LayoutError(problem, where=str(directory), remedy=_REMEDY)
