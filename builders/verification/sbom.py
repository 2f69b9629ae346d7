"""The components of an SBOM, as far as they are held against something."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builders.inventory import cyclonedx
from builders.inventory.component import Component


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A component, as an SBOM lists it.

    Attributes:
        kind: One of `inventory.component.Kind`, if the SBOM is one of Equivec's.
        name: Its name.
        version: Its version; empty if it has none.
        sha256: Of the file that it came from, or of what it is.
        told: What the image's own files tell of it too, as the SBOM spells it.
    """

    kind: str
    name: str
    version: str
    sha256: str
    told: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, self.name, self.version)))


def listed(document: Mapping[str, Any]) -> tuple[Listed, ...]:
    """Return the components of a CycloneDX document; what lists none has none."""
    components = document.get("components")
    if not isinstance(components, list):
        return ()
    return tuple(_listed(each) for each in components if isinstance(each, Mapping))


def of(components: Sequence[Component]) -> tuple[Listed, ...]:
    """Return components as their SBOM would list them."""
    return listed(json.loads(cyclonedx.sbom("image", "", components, epoch=0)))


def _listed(component: Mapping[str, Any]) -> Listed:
    told = {key: component.get(key) for key in ("version", "purl", "licenses", "components")}
    return Listed(
        kind=_only(component.get("properties"), "value", name=cyclonedx.KIND),
        name=str(component.get("name", "")),
        version=str(component.get("version", "")),
        sha256=_only(component.get("hashes"), "content", alg="SHA-256"),
        told=json.dumps(told, sort_keys=True),
    )


def _only(entries: object, key: str, **where: str) -> str:
    """Return a key of the one entry of a list that has some other values; else nothing."""
    found = [
        str(entry.get(key, ""))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and all(entry.get(name) == is_ for name, is_ in where.items())
    ]
    return found[0] if len(found) == 1 else ""
