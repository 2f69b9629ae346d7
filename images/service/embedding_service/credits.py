"""Credits: what the service is made of, and under which licences, from its packages' metadata."""

from __future__ import annotations

import email.parser
import functools
import importlib.metadata
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageMetadata
from pathlib import Path
from typing import Literal

SYSTEM = Path("/")

_FIELD = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_REFERENCE = re.compile(r"/usr/share/common-licenses/([A-Za-z][A-Za-z0-9.+-]*[A-Za-z0-9+])")
_LONGEST = 80
"""Of a licence's name: some packages put the whole text there."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of the service.

    Attributes:
        name: Its name.
        version: Its version.
        kind: Which kind of package it is.
        licences: As the package names them; none: it does not.
        text: The file that has the whole of them, of a Debian package; None: there is none.
    """

    name: str
    version: str
    kind: Literal["python", "debian"]
    licences: Sequence[str]
    text: Path | None = None


@functools.cache
def components(system: Path = SYSTEM) -> Sequence[Component]:
    """Return what Python can import, and the Debian packages of an image, by their names.

    Args:
        system: The root directory; on a host, which has no var/lib/dpkg/status.d, there are no
            Debian packages.
    """
    found = {each.name: each for each in _distributions()}
    packages = sorted(_packages(system), key=lambda each: each.name)
    return [*sorted(found.values(), key=lambda each: each.name.lower()), *packages]


def _distributions() -> Iterator[Component]:
    for distribution in importlib.metadata.distributions():
        metadata = distribution.metadata

        def first(field: str, metadata: PackageMetadata = metadata) -> str:
            return next(iter(metadata.get_all(field) or []), "")

        yield Component(
            name=distribution.name,
            version=distribution.version,
            kind="python",
            licences=_declared(
                expression=first("License-Expression"),
                classifiers=metadata.get_all("Classifier") or [],
                text=first("License"),
            ),
        )


def _declared(*, expression: str, classifiers: Sequence[str], text: str) -> Sequence[str]:
    """Return a distribution's licences, from the most exact of the fields that name them.

    https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    if expression:
        return [expression]
    if named := [each.split(" :: ")[-1] for each in classifiers if each.startswith("License ::")]:
        return named
    is_name = text and "\n" not in text and len(text) <= _LONGEST and text != "UNKNOWN"
    return [text] if is_name else []


def _packages(system: Path) -> Iterator[Component]:
    for path in system.glob("var/lib/dpkg/status.d/*"):
        fields = email.parser.HeaderParser().parsestr(path.read_text(encoding="utf-8"))
        name = fields["Package"]
        text = system / "usr/share/doc" / name / "copyright"
        yield Component(
            name=name,
            version=fields["Version"],
            kind="debian",
            licences=_copyright(text),
            text=text if text.exists() else None,
        )


def _copyright(path: Path) -> Sequence[str]:
    """Return the licences that a package's copyright file names.

    Where it is not in the form that programs read, these are those of Debian's common licences
    that it refers to.

    https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/,
    https://www.debian.org/doc/debian-policy/ch-docs.html#copyright-information
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    if text.startswith("Format:"):
        return sorted({name.strip() for name in _FIELD.findall(text)})
    # Python's own is none of the common ones.
    own = ["PSF-2.0"] if "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in text else []
    return sorted({*_REFERENCE.findall(text), *own})
