"""A wheel as a component: what its own files say, wherever they are."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection
from email.parser import BytesHeaderParser

from packaging.utils import canonicalize_name

from builders.inventory import licensing
from builders.inventory.component import Component, Kind

_LIBRARY = re.compile(r"lib[^/]*\.so[^/]*")


def component(
    metadata: bytes, files: Collection[str], *, sha256: Callable[[str], str], site: str
) -> Component:
    """Return the component that a wheel is, without what only its lock knows.

    Args:
        metadata: Its METADATA.
        files: Its paths below the site directory.
        sha256: Returns that of one of them.
        site: The site directory's absolute path, in the image or on the host.
    """
    header = BytesHeaderParser().parsebytes(metadata)
    name, version = canonicalize_name(str(header["Name"])), str(header["Version"])
    found = {
        Component(
            kind=Kind.LIBRARY,
            name=posixpath.basename(path),
            version="",
            purl="",
            sha256=sha256(path),
        )
        for path in files
        if _LIBRARY.fullmatch(posixpath.basename(path))
    }
    return Component(
        kind=Kind.WHEEL,
        name=name,
        version=version,
        purl=f"pkg:pypi/{name}@{quoted(version)}",
        sha256="",
        licences=licensing.of_metadata(header),
        parts=tuple(sorted(found, key=lambda each: (each.name, each.sha256))),
        texts=tuple(f"{site}/{path}" for path in sorted(files) if licensing.is_text(path)),
    )


def quoted(version: str) -> str:
    """Return a version as a package URL has it."""
    return version.replace("%", "%25").replace("+", "%2B").replace(":", "%3A")
