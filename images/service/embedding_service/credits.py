"""Credits: what the service is made of, and under which licences, by the image's inventory.

The inventory is made before the image is built, and held against all its files: see docs/images.md.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_KINDS: Mapping[str, Literal["python", "debian"]] = {
    "Python wheel": "python",
    "Debian package": "debian",
}
_LIBRARY = "library inside a wheel"
_KIND = "io.equivec:kind"
_TEXT = "io.equivec:licence-text"


@dataclass(frozen=True, kw_only=True)
class Component:
    """A part of the service.

    Attributes:
        name: Its name.
        version: Its version.
        kind: Which kind of package it is.
        licences: As the package names them; none: it does not.
        libraries: The shared libraries that came inside it, by their files' names.
        texts: The files that have the whole of the licences; none: it came without.
    """

    name: str
    version: str
    kind: Literal["python", "debian"]
    licences: Sequence[str]
    libraries: Sequence[str]
    texts: Sequence[str]


@functools.cache
def components(inventory: Path) -> Sequence[Component]:
    """Return the packages that an inventory lists, the Python ones first, by their names.

    Args:
        inventory: A CycloneDX document, as builders/inventory/cyclonedx.py writes it.

    Raises:
        OSError: It cannot be read.
    """
    listed = json.loads(inventory.read_bytes())["components"]
    found = [_component(each) for each in listed if _properties(each, _KIND)[0] in _KINDS]
    return sorted(found, key=lambda each: (each.kind != "python", each.name))


def _component(listed: Mapping[str, Any]) -> Component:
    parts = listed.get("components", ())
    return Component(
        name=listed["name"],
        version=listed["version"],
        kind=_KINDS[_properties(listed, _KIND)[0]],
        licences=[_licence(each) for each in listed.get("licenses", ())],
        libraries=[each["name"] for each in parts if _properties(each, _KIND) == [_LIBRARY]],
        texts=_properties(listed, _TEXT),
    )


def _properties(listed: Mapping[str, Any], name: str) -> Sequence[str]:
    return [each["value"] for each in listed["properties"] if each["name"] == name]


def _licence(listed: Mapping[str, Any]) -> str:
    """Return a licence's expression, SPDX identifier, or name."""
    if "expression" in listed:
        return str(listed["expression"])
    licence = listed["license"]
    return str(licence.get("id") or licence["name"])
