"""Found: the components that an image's own files name."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import BytesHeaderParser

from packaging.utils import canonicalize_name

from builders.formats.tree import FileTree
from builders.inventory.component import Component, Kind
from builders.paths import CODE, MODEL, SITE

STATUS = "var/lib/dpkg/status.d"

_LICENCE = re.compile(r"^License:[ \t]*(?P<name>[^\n]+)$", re.MULTILINE)
_VENDORED = re.compile(r"(?P<wheel>[^/]+)\.libs/[^/]+\.so[^/]*")
_SHORT = 60
"""A field `License` that is longer is the licence's text."""


def debian_packages(tree: FileTree) -> Iterator[Component]:
    """Yield the Debian packages, by what the image says of them below var/lib/dpkg/status.d."""
    for path in tree.below(STATUS):
        if not tree.entries[path].is_file:
            continue
        control = BytesHeaderParser().parsebytes(tree.read(path))
        name, version = str(control["Package"]), str(control["Version"])
        machine = str(control["Architecture"])
        yield Component(
            kind=Kind.DEBIAN,
            name=name,
            version=version,
            purl=f"pkg:deb/debian/{name}@{_quoted(version)}?arch={machine}&distro=bookworm",
            sha256="",
            licences=_debian_licences(tree, name),
        )


def wheels(tree: FileTree) -> Iterator[Component]:
    """Yield the Python packages, by their METADATA, with the libraries that came inside them."""
    libraries = _libraries(tree)
    for path in tree.below(SITE):
        directory, _, file = path.removeprefix(f"{SITE}/").rpartition("/")
        if file != "METADATA" or "/" in directory or not directory.endswith(".dist-info"):
            continue
        metadata = BytesHeaderParser().parsebytes(tree.read(path))
        name, version = canonicalize_name(str(metadata["Name"])), str(metadata["Version"])
        yield Component(
            kind=Kind.WHEEL,
            name=name,
            version=version,
            purl=f"pkg:pypi/{name}@{_quoted(version)}",
            sha256="",
            licences=_wheel_licences(metadata),
            parts=tuple(libraries.get(name, ())),
        )


def model_files(tree: FileTree) -> Mapping[str, str]:
    """Return the sha256 of each file of the model, by its path in the model's directory."""
    return {
        path.removeprefix(f"{MODEL}/"): _sha256(tree, path)
        for path in tree.below(MODEL)
        if tree.entries[path].is_file
    }


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
        if not (entry.is_directory or inside or entry.layer < root_layers):
            yield path


def _debian_licences(tree: FileTree, name: str) -> tuple[str, ...]:
    """Return the names in a package's copyright file, where that is written for machines.

    https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
    """
    path = tree.resolve(f"usr/share/doc/{name}/copyright")
    if path is None or not tree.entries[path].is_file:
        return ()
    text = tree.read(path).decode("utf-8", errors="replace")
    if not text.startswith("Format:"):
        return ()
    return tuple(sorted({match["name"].strip() for match in _LICENCE.finditer(text)}))


def _wheel_licences(metadata: Message) -> tuple[str, ...]:
    """Return what the METADATA says, from the field that says it best.

    https://packaging.python.org/specifications/core-metadata/#license-expression
    """
    expression = metadata["License-Expression"]
    if expression:
        return (str(expression),)
    text = str(metadata["License"] or "").strip()
    if text and "\n" not in text and len(text) <= _SHORT:
        return (text,)
    classifiers = (str(each) for each in metadata.get_all("Classifier", []))
    return tuple(
        sorted({each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License")})
    )


def _libraries(tree: FileTree) -> Mapping[str, list[Component]]:
    """Return the shared libraries that auditwheel put into wheels, by the wheel's project."""
    found: dict[str, list[Component]] = {}
    for path in tree.below(SITE):
        match = _VENDORED.fullmatch(path.removeprefix(f"{SITE}/"))
        if match is None or not tree.entries[path].is_file:
            continue
        library = Component(
            kind=Kind.LIBRARY,
            name=posixpath.basename(path),
            version="",
            purl="",
            sha256=_sha256(tree, path),
        )
        found.setdefault(canonicalize_name(match["wheel"]), []).append(library)
    return found


def _sha256(tree: FileTree, path: str) -> str:
    digest = hashlib.sha256()
    for chunk in tree.chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _quoted(version: str) -> str:
    return version.replace("%", "%25").replace("+", "%2B").replace(":", "%3A")
