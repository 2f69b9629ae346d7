"""THIRD-PARTY: the inventory for people, with the licences and where their texts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from builders.inventory.component import Component, Kind

_HEADINGS: Mapping[Kind, str] = {
    Kind.MODEL: "MODEL",
    Kind.WHEEL: "PYTHON WHEELS",
    Kind.DEBIAN: "DEBIAN PACKAGES",
}

_BEGINNING = """\
THIRD-PARTY

What {title} is made of besides Equivec itself (Apache-2.0). Each part is named with its
licences, in its authors' words, and with the files that hold the whole of them.
Texts of Apache-2.0 and other common licences are in /usr/share/common-licenses.
The same for programs: inventory.cdx.json, a CycloneDX document.
"""


def text(title: str, components: Sequence[Component]) -> str:
    """Return the text of an inventory: the same for the same inventory.

    Args:
        title: The image's name, without a place where it might be published.
        components: The inventory.
    """
    lines = [_BEGINNING.format(title=title)]
    for kind, heading in _HEADINGS.items():
        parts = [component for component in components if component.kind is kind]
        if parts:
            lines += ["", heading, "", *(line for part in parts for line in _lines(part))]
    return "\n".join(lines) + "\n"


def _lines(component: Component) -> Iterator[str]:
    yield f"{component.name} {component.version}".rstrip()
    yield f"    {'; '.join(component.licences) or 'its licence is not named'}"
    libraries = [part.name for part in component.parts if part.kind is Kind.LIBRARY]
    if libraries:
        yield f"    with {', '.join(libraries)}"
    if component.source:
        yield f"    compiled here, from the source archive sha256:{component.source}"
    yield from (f"    {path}" for path in component.texts)
    if not component.texts:
        yield "    (it came without the text)"
