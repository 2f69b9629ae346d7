"""The inventory as a CycloneDX document: an SBOM that other tools read."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as CycloneComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from builders.inventory.component import Component, Kind

_TYPES = {
    Kind.DEBIAN: ComponentType.LIBRARY,
    Kind.WHEEL: ComponentType.LIBRARY,
    Kind.LIBRARY: ComponentType.LIBRARY,
    Kind.MODEL: ComponentType.MACHINE_LEARNING_MODEL,
    Kind.SERVICE: ComponentType.APPLICATION,
}

_SOURCE = "io.equivec:source-sha256"
_KIND = "io.equivec:kind"


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
    bom = Bom(
        components=[_component(each) for each in components],
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"urn:oci:{digest}"),
        metadata=BomMetaData(component=image, timestamp=datetime.fromtimestamp(epoch, UTC)),
    )
    bom.register_dependency(image, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(component: Component) -> CycloneComponent:
    properties = [Property(name=_KIND, value=str(component.kind))]
    if component.source:
        properties.append(Property(name=_SOURCE, value=component.source))
    return CycloneComponent(
        name=component.name,
        type=_TYPES[component.kind],
        version=component.version or None,
        bom_ref=component.purl or f"{component.name}@{component.version or component.sha256}",
        purl=PackageURL.from_string(component.purl) if component.purl else None,
        hashes=[_sha256(component.sha256)] if component.sha256 else [],
        licenses=_licences(component),
        properties=properties,
        components=[_component(part) for part in component.parts],
    )


def _licences(component: Component) -> list[License]:
    """Return one SPDX expression, or as many names as there are: a document may not mix them."""
    factory = LicenseFactory()
    if len(component.licences) == 1:
        return [factory.make_from_string(component.licences[0])]
    return [factory.make_with_name(name) for name in component.licences]


def _sha256(sha256: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)
