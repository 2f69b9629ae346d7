"""Archives: the components that the files themselves name which go into an image."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from builders.errors import ArchiveError
from builders.formats import layout, tree
from builders.formats import wheel as wheel_file
from builders.inventory import found, licensing, wheel
from builders.inventory.component import Component


def debian_packages(root: Path) -> tuple[Component, ...]:
    """Return the Debian packages of a root file system, given its layout.

    Raises:
        ArchiveError: Its layer holds what no layer may.
        LayoutError: It is malformed.
    """
    with tree.opened(layout.read(root)) as files:
        return tuple(found.debian_packages(files))


def wheels(files: Sequence[Path], *, prune: Sequence[str], site: str) -> Iterator[Component]:
    """Yield the components that wheels are.

    The texts of licences in their `.dist-info` directories are listed whether they are left out or
    not: an image without them is not what was promised.

    Args:
        files: The wheels.
        prune: Glob patterns of what is left out, relative to the site directory.
        site: That directory's absolute path, in the image or on the host.

    Raises:
        ArchiveError: One is no readable wheel.
    """
    for file in files:
        try:
            with zipfile.ZipFile(file) as archive:
                yield _wheel(archive, prune, site)
        except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, OSError) as error:
            raise ArchiveError(
                f"not a readable wheel: {error}",
                where=file.name,
                remedy="take another version of it",
            ) from error


def _wheel(archive: zipfile.ZipFile, prune: Sequence[str], site: str) -> Component:
    members: dict[str, str] = {}
    for member in archive.namelist():
        place = None if member.endswith("/") else wheel_file.installed(PurePosixPath(member))
        if place is not None and _is_kept(str(place), prune):
            members[str(place)] = member
    own = (path for path in members if licensing.is_metadata(path) and path.count("/") == 1)
    metadata = next((path for path in own if path.endswith("/METADATA")), "METADATA")
    return wheel.component(
        archive.read(members.get(metadata, metadata)),
        members.keys(),
        sha256=lambda path: _sha256(archive, members[path]),
        site=site,
    )


def _is_kept(path: str, prune: Sequence[str]) -> bool:
    if licensing.is_metadata(path) and licensing.is_text(path):
        return True
    return not any(fnmatchcase(path, glob) for glob in prune)


def _sha256(archive: zipfile.ZipFile, member: str) -> str:
    with archive.open(member) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
