"""Small OCI image layouts, made for tests with nothing but tarfile and hashlib."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from builders.formats.layer import TAR, TAR_GZIP, TAR_ZSTD

EPOCH = 1704067200
CREATED = "2024-01-01T00:00:00Z"


@dataclass(frozen=True)
class Item:
    """A member of a layer to be: its header and its content."""

    header: tarfile.TarInfo
    content: bytes = b""


def item(path: str, kind: bytes, *, mode: int, **fields: Any) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path)
    header.type = kind
    header.mode = mode
    header.mtime = EPOCH
    for name, value in fields.items():
        setattr(header, name, value)
    return header


def file(path: str, content: bytes | str = b"", *, mode: int = 0o644, **fields: Any) -> Item:
    content = content.encode() if isinstance(content, str) else content
    return Item(item(path, tarfile.REGTYPE, mode=mode, size=len(content), **fields), content)


def directory(path: str, *, mode: int = 0o755, **fields: Any) -> Item:
    return Item(item(path, tarfile.DIRTYPE, mode=mode, **fields))


def symlink(path: str, target: str, **fields: Any) -> Item:
    return Item(item(path, tarfile.SYMTYPE, mode=0o777, linkname=target, **fields))


def hardlink(path: str, target: str, **fields: Any) -> Item:
    return Item(item(path, tarfile.LNKTYPE, mode=0o644, linkname=target, **fields))


def tar(items: Sequence[Item]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as writer:
        for entry in items:
            writer.addfile(entry.header, io.BytesIO(entry.content))
    return archive.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    TAR: lambda archive: archive,
    TAR_GZIP: lambda archive: gzip.compress(archive, mtime=0),
    TAR_ZSTD: lambda archive: bytes(zstandard.ZstdCompressor().compress(archive)),
}


@dataclass
class Image:
    """A layout to be written; a test changes what it is about."""

    layers: Sequence[bytes]
    media_type: str = TAR_ZSTD
    config: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    platform: Mapping[str, str] | None = None
    created: str | None = CREATED

    def write(self, directory: Path) -> Path:
        blobs = directory / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        packed = [PACK[self.media_type](layer) for layer in self.layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": self.created,
            "config": self.run,
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(la).hexdigest()}" for la in self.layers],
            },
            "history": [
                {"created": CREATED, "created_by": f"step {number}"}
                for number in range(len(packed))
            ],
            **self.config,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                **blob(blobs, json.dumps(config).encode()),
                "mediaType": "application/vnd.oci.image.config.v1+json",
            },
            "layers": [{**blob(blobs, la), "mediaType": self.media_type} for la in packed],
        }
        described = {
            **blob(blobs, json.dumps(manifest).encode()),
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
        }
        if self.platform is not None:
            described["platform"] = self.platform
        write_index(directory, [described])
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return directory


def blob(blobs: Path, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def write_index(directory: Path, manifests: Sequence[Mapping[str, Any]]) -> None:
    index = {"schemaVersion": 2, "manifests": list(manifests)}
    (directory / "index.json").write_text(json.dumps(index))


def read_index(directory: Path) -> list[dict[str, Any]]:
    manifests: list[dict[str, Any]] = json.loads((directory / "index.json").read_bytes())[
        "manifests"
    ]
    return manifests
