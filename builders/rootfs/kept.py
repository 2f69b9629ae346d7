"""Root file systems that are unpacked once and kept: of the images, and of the wheel stage."""

from __future__ import annotations

from pathlib import Path

from builders import list_file, rootfs, unpacked_sizes
from builders.files import digest_of, sha256_of
from builders.image import Root
from builders.lock.debian import DebianLock
from builders.project import Project

BASE, TOOLCHAIN = "base", "toolchain"
"""The folders below `images` with the lists and locks of Debian packages."""

_CODE = (
    "formats/deb.py",
    "formats/layer.py",
    "rootfs/__init__.py",
    "rootfs/entries.py",
    "rootfs/system_files.py",
)
"""What a root file system depends on beside its packages, below `builders`."""


def root(project: Project, lock: DebianLock, *, folder: str = BASE) -> Root:
    """Return the root file system of a lock that was fetched, unpacked once and kept.

    Args:
        project: The checkout.
        lock: Its packages.
        folder: Where its prune list is, below `images`.

    Raises:
        ArchiveError: A package holds what it must not.
    """
    prune = list_file.read(project.images / folder / "prune.txt")
    epoch = project.matrix.epoch
    key = digest_of(
        {
            "code": {name: sha256_of(Path(__file__).parent.parent / name) for name in _CODE},
            "epoch": epoch,
            "packages": lock.digest,
            "platform": lock.platform,
            "prune": list(prune),
        }
    )

    def make(directory: Path) -> None:
        rootfs.write_base_layout(
            [project.store.path(package.sha256) for package in lock.root],
            platform=lock.platform,
            prune=prune,
            epoch=epoch,
            directory=directory,
        )

    directory = project.store.derived("roots", key.removeprefix("sha256:"), make)
    read = unpacked_sizes.read(project.store, directory)
    return Root(directory=directory, digest=read.manifest_digest, lock=lock.digest)
