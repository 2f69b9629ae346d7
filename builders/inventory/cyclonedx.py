"""The inventory as a CycloneDX document: an SBOM that other tools read."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as CycloneComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from builders.files import digest_of
from builders.inventory.component import Component, Kind

_TYPES = {
    Kind.DEBIAN: ComponentType.LIBRARY,
    Kind.WHEEL: ComponentType.LIBRARY,
    Kind.LIBRARY: ComponentType.LIBRARY,
    Kind.MODEL: ComponentType.MACHINE_LEARNING_MODEL,
    Kind.FILE: ComponentType.FILE,
    Kind.SERVICE: ComponentType.APPLICATION,
}

KIND = "io.equivec:kind"
SOURCE = "io.equivec:source-sha256"
TEXT = "io.equivec:licence-text"
"""Properties of a component: its `Kind`, of what it was compiled here, and a file of the image."""


def sbom(name: str, digest: str, components: Sequence[Component], *, epoch: int) -> str:
    """Return an image's SBOM as CycloneDX 1.6 in JSON: the same text for the same image.

    Args:
        name: The image's.
        digest: Of its manifest, `sha256:…`.
        components: The inventory.
        epoch: The time that it bears, in seconds since 1970, as everything in the image does.

    Sources:
        https://cyclonedx.org/docs/1.6/json/
    """
    _, _, sha256 = digest.partition(":")
    image = CycloneComponent(
        name=name,
        type=ComponentType.CONTAINER,
        version=digest,
        bom_ref="image",
        purl=PackageURL(type="oci", name=name.rpartition("/")[2], version=digest),
        hashes=[_sha256(sha256)],
    )
    return _document(image, f"urn:oci:{digest}", components, epoch)


def inside(title: str, components: Sequence[Component], *, epoch: int) -> str:
    """Return the inventory that an image holds, which cannot know the image's digest.

    Args:
        title: The image's, without a place where it might be published.
        components: The inventory.
        epoch: See `sbom`.
    """
    image = CycloneComponent(name=title, type=ComponentType.CONTAINER, bom_ref="image")
    named = f"urn:equivec:{digest_of([title, *map(asdict, components)])}"
    return _document(image, named, components, epoch)


def _document(
    image: CycloneComponent, named: str, components: Sequence[Component], epoch: int
) -> str:
    bom = Bom(
        components=[_component(each) for each in components],
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, named),
        metadata=BomMetaData(component=image, timestamp=datetime.fromtimestamp(epoch, UTC)),
    )
    bom.register_dependency(image, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(component: Component, owner: str = "") -> CycloneComponent:
    """Return a component; one that is inside another is named with it."""
    properties = [Property(name=KIND, value=str(component.kind))]
    if component.source:
        properties.append(Property(name=SOURCE, value=component.source))
    properties += [Property(name=TEXT, value=path) for path in component.texts]
    own = component.purl or f"{component.name}@{component.version or component.sha256}"
    reference = f"{owner}#{own}" if owner else own
    return CycloneComponent(
        name=component.name,
        type=_TYPES[component.kind],
        version=component.version or None,
        bom_ref=reference,
        purl=PackageURL.from_string(component.purl) if component.purl else None,
        hashes=[_sha256(component.sha256)] if component.sha256 else [],
        licenses=_licences(component),
        properties=properties,
        components=[_component(part, reference) for part in component.parts],
    )


def _licences(component: Component) -> list[License]:
    """Return one SPDX expression, or as many names as there are: a document may not mix them."""
    factory = LicenseFactory()
    if len(component.licences) == 1:
        return [factory.make_from_string(component.licences[0])]
    return [factory.make_with_name(name) for name in component.licences]


def _sha256(sha256: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)
