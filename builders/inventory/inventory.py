"""The inventory of an image: the components of its locks, held against those that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from builders.check import Check, from_findings
from builders.formats.tree import FileTree
from builders.inventory import found
from builders.inventory.component import Component, Kind


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A package of a lock.

    Attributes:
        version: Its version.
        sha256: Of its file.
        source: Of the source archive that it was compiled from here; empty if it was not.
    """

    version: str
    sha256: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What an image is made of, by its locks.

    Attributes:
        title: The image's name, without a place where it might be published.
        debian: The packages of the root file system, by name.
        root: The diffIDs of the layers that they were unpacked to, which are the image's first.
        wheels: The wheels, by name.
        model: The model, with where it comes from and its licences.
        service: The service, with the backend's code; the check `inputs` holds its files.
        files: The sha256 of each of the model's files, by its path in the model's directory.
        epoch: The time that everything in the image bears, in seconds since 1970.
    """

    title: str
    debian: Mapping[str, Locked]
    root: tuple[str, ...]
    wheels: Mapping[str, Locked]
    model: Component
    service: Component
    files: Mapping[str, str]
    epoch: int


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What was found.

    Attributes:
        components: Of the locks and of the image alike, by kind and name.
        check: Whether the two are one.
    """

    components: tuple[Component, ...]
    check: Check


def take(tree: FileTree, diff_ids: Sequence[str], declared: Declared) -> Inventory:
    """Take the inventory of an image.

    Args:
        tree: The image's files.
        diff_ids: Of its layers.
        declared: What its locks say.
    """
    packages = components(found.debian_packages(tree), found.wheels(tree), declared)
    findings = (
        *_differences(Kind.DEBIAN, packages, declared.debian),
        *_differences(Kind.WHEEL, packages, declared.wheels),
        *_model_differences(found.model_files(tree), declared.files),
        *_layers(diff_ids, declared.root),
        *(f"/{path}: of no component" for path in _strangers(tree, declared)),
    )
    return Inventory(
        components=packages,
        check=from_findings("inventory", findings, figure=len(packages)),
    )


def components(
    debian: Iterable[Component], wheels: Iterable[Component], declared: Declared
) -> tuple[Component, ...]:
    """Return an inventory, by kind and name, with what the locks know.

    Args:
        debian: The Debian packages, as they say themselves what they are.
        wheels: The wheels, likewise.
        declared: What the locks say.
    """
    packages = (
        *_locked(debian, declared.debian),
        *_locked(wheels, declared.wheels),
        declared.model,
        declared.service,
    )
    return tuple(sorted(packages, key=lambda component: component.key))


def _locked(packages: Iterable[Component], lock: Mapping[str, Locked]) -> Iterator[Component]:
    """Yield components with what the lock knows of them."""
    for component in packages:
        known = lock.get(component.name)
        if known is None:
            yield component
        else:
            yield replace(component, sha256=known.sha256, source=known.source)


def _differences(
    kind: Kind, packages: Sequence[Component], lock: Mapping[str, Locked]
) -> Iterator[str]:
    here = [component for component in packages if component.kind is kind]
    for component in here:
        known = lock.get(component.name)
        if known is None:
            yield f"{kind} {component.name} {component.version}: in no lock"
        elif not _same(component.version, known.version):
            yield f"{kind} {component.name}: {component.version}, locked {known.version}"
    names = {component.name for component in here}
    yield from (f"{kind} {name}: the image does not name it" for name in lock if name not in names)


def _same(one: str, other: str) -> bool:
    """Return whether two versions are one, for Debian's as for Python's."""
    if one == other:
        return True
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False


def _model_differences(files: Mapping[str, str], declared: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(files.keys() | declared.keys()):
        if files.get(path) != declared.get(path):
            yield f"model file {path}: not what is declared"


def _layers(diff_ids: Sequence[str], root: tuple[str, ...]) -> Iterator[str]:
    if tuple(diff_ids[: len(root)]) != root:
        yield "the first layers are not the root file system that the packages were unpacked to"


def _strangers(tree: FileTree, declared: Declared) -> Iterator[str]:
    return found.strangers(tree, root_layers=len(declared.root))


def by_name(packages: Iterable[tuple[str, Locked]]) -> dict[str, Locked]:
    """Return a lock's wheels by their normalised names."""
    return {canonicalize_name(name): locked for name, locked in packages}
