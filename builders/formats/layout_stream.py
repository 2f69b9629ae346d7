"""A layout as the tar stream that `docker load` takes, under another name."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from builders.formats import oci
from builders.formats.layer import CHUNK
from builders.formats.layout import Layout, blob_path

CONTAINERD_NAME = "io.containerd.image.name"


def stream(layout: Layout, name: str) -> Iterator[bytes]:
    """Yield a tar archive of a layout whose image has another name; blobs stay as they are.

    Args:
        layout: What to send.
        name: Such as `equivec/untested:…`: the engine would call a nameless image `latest:latest`.
    """
    manifest = blob_path(layout.directory, layout.manifest_digest)
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": oci.MANIFEST,
                "digest": layout.manifest_digest,
                "size": manifest.stat().st_size,
                "annotations": {CONTAINERD_NAME: f"docker.io/{name}"},
            }
        ],
    }
    yield from _member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    yield from _member("index.json", json.dumps(index).encode())
    blobs = (
        layout.manifest_digest,
        layout.config_digest,
        *(layer.digest for layer in layout.layers),
    )
    for digest in dict.fromkeys(blobs):
        yield from _file(blob_path(layout.directory, digest), layout.directory)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content))
    yield content + _padding(len(content))


def _file(path: Path, root: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    yield _header(path.relative_to(root).as_posix(), size)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
    yield _padding(size)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf()


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
