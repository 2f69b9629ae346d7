"""Components: what an image is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a component is."""

    DEBIAN = "Debian package"
    WHEEL = "Python wheel"
    LIBRARY = "library inside a wheel"
    MODEL = "model"
    FILE = "file of the model"
    SERVICE = "service"


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of an image, with where it comes from.

    Attributes:
        kind: What it is.
        name: Debian's, the package index's or the model's; of a library, its file's name.
        version: Empty where there is none to be had.
        purl: The package URL; empty where there is none.
        sha256: Of the package's file, as locked; of a library or a model's file, of itself; empty
            where only an image's own files were asked.
        licences: SPDX expressions, or names where a package does not say one.
        source: The sha256 of the source archive that it was compiled from here; empty if it was
            not.
        parts: Components inside.
        texts: The absolute paths of the files that have the whole of the licences.

    Sources:
        https://github.com/package-url/purl-spec
    """

    kind: Kind
    name: str
    version: str
    purl: str
    sha256: str
    licences: tuple[str, ...] = ()
    source: str = ""
    parts: tuple[Component, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[Kind, str, str]:
        """What it is recognised by."""
        return (self.kind, self.name, self.version)
