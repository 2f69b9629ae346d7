"""Audit of what an image says of itself: the inventory of its own files, with the licences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from builders.check import Check, from_findings
from builders.formats.tree import FileTree
from builders.inventory import documents
from builders.inventory.component import Component, Kind
from builders.inventory.inventory import Declared
from builders.paths import INVENTORY


def notices(tree: FileTree, components: Sequence[Component], declared: Declared) -> Check:
    """Check that the inventory in an image, and THIRD-PARTY, are those of the image's own files.

    They were made before the image, from the archives that went in. A Debian package must have come
    with its licence's text.

    Args:
        tree: The image's files.
        components: The inventory of these files.
        declared: What the locks say.
    """
    findings = (*_documents(tree, components, declared), *_without_text(components))
    return from_findings("notices", findings, figure=len(components))


def _documents(
    tree: FileTree, components: Sequence[Component], declared: Declared
) -> Iterator[str]:
    try:
        expected = documents.of(declared.title, components, epoch=declared.epoch)
    except ValueError as error:  # a package may call itself anything
        yield f"no inventory can be made of the image's files: {error}"
        return
    for path, content in expected.items():
        yield from _differences(tree, path, content)


def _without_text(components: Sequence[Component]) -> Iterator[str]:
    for component in components:
        if component.kind is Kind.DEBIAN and not component.texts:
            yield f"{component.kind} {component.name}: its copyright file is not there"


def _differences(tree: FileTree, path: str, expected: bytes) -> Iterator[str]:
    entry = tree.entries.get(path)
    if entry is None or not entry.is_file:
        yield f"/{path}: not there"
        return
    found = tree.read(path)
    if found != expected:
        yield f"/{path}: not the inventory of the image's files"
        if path == INVENTORY:
            yield from _parts(found, expected)


def _parts(found: bytes, expected: bytes) -> Iterator[str]:
    """Yield in which components two inventories differ."""
    try:
        told, own = _listed(found), _listed(expected)
    except (AttributeError, KeyError, TypeError, ValueError):
        yield f"/{INVENTORY}: not a CycloneDX document"
        return
    for name in sorted(told.keys() | own.keys()):
        if name not in told:
            yield f"{name}: in the image, and not in its inventory"
        elif name not in own:
            yield f"{name}: in its inventory, and not in the image"
        elif told[name] != own[name]:
            yield f"{name}: not as its inventory says"


def _listed(document: bytes) -> dict[str, object]:
    return {str(each["bom-ref"]): each for each in json.loads(document)["components"]}
