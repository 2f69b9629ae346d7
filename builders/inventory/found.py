"""Found: the components that an image's own files name."""

from __future__ import annotations

import csv
import hashlib
import io
import posixpath
from collections.abc import Iterator, Mapping
from email.parser import BytesHeaderParser

from builders.errors import ArchiveError
from builders.formats.tree import FileTree
from builders.inventory import licensing, wheel
from builders.inventory.component import Component, Kind
from builders.paths import CODE, INVENTORY, MODEL, SITE, THIRD_PARTY

STATUS = "var/lib/dpkg/status.d"


def debian_packages(tree: FileTree) -> Iterator[Component]:
    """Yield the Debian packages, by what the image says of them below var/lib/dpkg/status.d."""
    for path in tree.below(STATUS):
        if not tree.entries[path].is_file:
            continue
        control = BytesHeaderParser().parsebytes(tree.read(path))
        name, version = str(control["Package"]), str(control["Version"])
        machine = str(control["Architecture"])
        text = _copyright(tree, name)
        yield Component(
            kind=Kind.DEBIAN,
            name=name,
            version=version,
            purl=f"pkg:deb/debian/{name}@{wheel.quoted(version)}?arch={machine}&distro=bookworm",
            sha256="",
            licences=licensing.of_copyright(_text(tree, text)) if text else (),
            texts=(f"/{text}",) if text else (),
        )


def wheels(tree: FileTree) -> Iterator[Component]:
    """Yield the Python packages, by their METADATA, with the libraries that came inside them."""
    for path in tree.below(SITE):
        directory, _, file = path.removeprefix(f"{SITE}/").rpartition("/")
        if file != "METADATA" or "/" in directory or not directory.endswith(".dist-info"):
            continue
        yield wheel.component(
            tree.read(path),
            _recorded(tree, f"{SITE}/{directory}/RECORD"),
            sha256=lambda name: sha256_of(tree, f"{SITE}/{name}"),
            site=f"/{SITE}",
        )


def model_files(tree: FileTree) -> Mapping[str, str]:
    """Return the sha256 of each file of the model, by its path in the model's directory."""
    return {
        path.removeprefix(f"{MODEL}/"): sha256_of(tree, path)
        for path in tree.below(MODEL)
        if tree.entries[path].is_file
    }


def sha256_of(tree: FileTree, path: str) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in tree.chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def strangers(tree: FileTree, *, root_layers: int) -> Iterator[str]:
    """Yield the files that are of none of the components.

    Those of a wheel are checked against its RECORD, those of the service and the model against what
    went in; those of the Debian packages are the first layers.

    Args:
        tree: The image's files.
        root_layers: How many layers the root file system has, which is unpacked from packages.
    """
    ours = (SITE, MODEL, *CODE)
    for path, entry in tree.entries.items():
        inside = any(path.startswith(f"{place}/") for place in ours)
        told = path in (INVENTORY, THIRD_PARTY)
        if not (entry.is_directory or inside or told or entry.layer < root_layers):
            yield path


def _copyright(tree: FileTree, name: str) -> str | None:
    """Return where a Debian package's copyright file is; None if there is none."""
    path = tree.resolve(f"usr/share/doc/{name}/copyright")
    return path if path is not None and tree.entries[path].is_file else None


def _text(tree: FileTree, path: str) -> str:
    return tree.read(path).decode("utf-8", errors="replace")


def _recorded(tree: FileTree, record: str) -> tuple[str, ...]:
    """Return the files of a RECORD that are there, below the site directory."""
    if record not in tree.entries or not tree.entries[record].is_file:
        return ()
    rows = csv.reader(io.StringIO(_text(tree, record), newline=""), strict=True)
    try:
        listed = {posixpath.normpath(row[0]) for row in rows if row}
    except csv.Error as error:
        raise ArchiveError(
            f"a malformed RECORD: {error}", where=f"/{record}", remedy="take another version of it"
        ) from error
    return tuple(
        path
        for path in sorted(listed)
        if (entry := tree.entries.get(f"{SITE}/{path}")) is not None and entry.is_file
    )
