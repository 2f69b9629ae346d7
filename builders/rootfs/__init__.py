"""The root file system that every image begins with: unpacked Debian packages, nothing executed.

The result is a function of the packages, the prune list and the epoch alone: members in the order
of their paths, owned by root, with one time, and with no modes but 0644 and 0755. So nothing in it
is setuid or writable for others; that goes for /tmp too: a container that needs it mounts one.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from builders.files import canonical_json, sha256_of
from builders.formats import deb, layer, oci
from builders.formats.layer import Kind
from builders.rootfs import entries as root_entries
from builders.rootfs.entries import Entry

ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
)


def compose(
    debs: Sequence[Path], *, architecture: str, prune: Sequence[str], epoch: int, out: BinaryIO
) -> None:
    """Write the root file system as an uncompressed tar archive.

    Args:
        debs: The .deb files, in any order.
        architecture: Debian's name for the machine: amd64 or arm64.
        prune: Glob patterns of paths to leave out, relative to the root; `*` matches `/` too.
        epoch: The time that every member bears, in seconds since 1970.
        out: Is only written to, from where it stands.

    Raises:
        ArchiveError: A package holds what no package may (see `deb.opened`), is for another
            machine, or does not fit the others (see `root_entries.merged`).
    """
    with ExitStack() as stack:
        packages = [stack.enter_context(deb.opened(path)) for path in debs]
        entries = root_entries.merged(packages, architecture=architecture, prune=prune)
        for path, entry in sorted(entries.items()):
            _write_member(out, path, entry, epoch)
    out.write(bytes(2 * tarfile.BLOCKSIZE))


def write_base_layout(
    debs: Sequence[Path], *, platform: str, prune: Sequence[str], epoch: int, directory: Path
) -> str:
    """Write the root file system as an OCI image layout of one uncompressed layer.

    Args:
        debs: The .deb files, in any order.
        platform: Such as linux/arm64.
        prune: Glob patterns of paths to leave out, relative to the root; `*` matches `/` too.
        epoch: The time that everything bears, in seconds since 1970.
        directory: Where to; made if need be.

    Returns:
        The digest of the image's manifest, `sha256:…`.

    Raises:
        ArchiveError: As `compose` does.
    """
    system, _, architecture = platform.partition("/")
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    archive = blobs / "layer"
    with archive.open("wb") as file:
        compose(debs, architecture=architecture, prune=prune, epoch=epoch, out=file)
    root = _add_blob(blobs, archive, layer.TAR)

    machine = {"architecture": architecture, "os": system}
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = _add_document(
        blobs,
        oci.CONFIG,
        {
            **machine,
            "created": created,
            "config": {"Env": ENVIRONMENT},
            "rootfs": {"type": "layers", "diff_ids": [root["digest"]]},
            "history": [{"created": created, "created_by": "equivec: unpacked Debian packages"}],
        },
    )
    manifest = _add_document(
        blobs,
        oci.MANIFEST,
        {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": config, "layers": [root]},
    )
    name = {"org.opencontainers.image.ref.name": platform.replace("/", "-")}
    index = {
        "schemaVersion": 2,
        "mediaType": oci.INDEX,
        "manifests": [{**manifest, "platform": machine, "annotations": name}],
    }
    (directory / "oci-layout").write_bytes(canonical_json({"imageLayoutVersion": "1.0.0"}))
    (directory / "index.json").write_bytes(canonical_json(index))
    return str(manifest["digest"])


def _write_member(out: BinaryIO, path: str, entry: Entry, epoch: int) -> None:
    header = tarfile.TarInfo(path)
    header.mtime = epoch
    header.mode = 0o755 if entry.executable else _MODES[entry.kind]
    header.size = entry.size
    header.linkname = entry.target
    header.type = _TYPES[entry.kind]
    out.write(header.tobuf(tarfile.PAX_FORMAT))
    out.writelines(entry.chunks())
    out.write(bytes(-entry.size % tarfile.BLOCKSIZE))


_MODES = {Kind.FILE: 0o644, Kind.DIRECTORY: 0o755, Kind.SYMLINK: 0o777}

_TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
}


def _add_document(blobs: Path, media_type: str, document: object) -> dict[str, str | int]:
    file = blobs / "document"
    file.write_bytes(canonical_json(document))
    return _add_blob(blobs, file, media_type)


def _add_blob(blobs: Path, file: Path, media_type: str) -> dict[str, str | int]:
    """Give a blob the name that its content has; return its descriptor."""
    sha256 = sha256_of(file)
    file.replace(blobs / sha256)
    return {
        "mediaType": media_type,
        "digest": f"sha256:{sha256}",
        "size": (blobs / sha256).stat().st_size,
    }
