"""Content: an SBOM held against the files of the image, which were pulled by digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from builders.audit.wheels import wheel_records
from builders.check import Check, from_findings
from builders.files import digest_of
from builders.formats.tree import FileTree
from builders.inventory import found
from builders.inventory.component import Kind
from builders.paths import CODE, EQUIVEC, INVENTORY, MODEL, SITE
from builders.verification import sbom
from builders.verification.sbom import Listed

_ANYTHING = ("*",)
"""What wheels lack in an image is the builder's affair; what is there must be of one."""

_PACKAGES = (Kind.DEBIAN, Kind.WHEEL)


def contents(tree: FileTree, document: Mapping[str, Any]) -> Check:
    """Check that an SBOM lists what an image's own files are, and nothing else.

    Packages are read from their metadata, libraries, model and service hashed. That the files of a
    wheel are those of its RECORD is part of it; that a package is the one of that sha256 is not:
    its file is not in the image.

    Args:
        tree: The image's files.
        document: A CycloneDX document, as `inventory.cyclonedx` writes it.
    """
    listed = sbom.listed(document)
    packages = (*found.debian_packages(tree), *found.wheels(tree))
    findings = (
        *_differences(listed, sbom.of(packages)),
        *_hashed(tree, listed),
        *_model(tree),
        *(f"/{path}: of no component" for path in found.strangers(tree, root_layers=_root(tree))),
        *wheel_records(tree, _ANYTHING).details,
        *_inside(tree, document),
    )
    return from_findings("sbom", findings, figure=len(listed))


def _differences(listed: Sequence[Listed], own: Sequence[Listed]) -> Iterator[str]:
    """Yield in what the packages that are listed are not those of the image."""
    packages = [each for each in listed if each.kind in _PACKAGES]
    said, here = {str(each): each for each in packages}, {str(each): each for each in own}
    if len(said) != len(packages):
        yield "the SBOM lists a package twice"
    for name in sorted(said.keys() | here.keys()):
        if name not in said:
            yield f"{name}: in the image, and not in the SBOM"
        elif name not in here:
            yield f"{name}: in the SBOM, and not in the image"
        elif said[name].told != here[name].told:
            yield f"{name}: {here[name].told} in the image, {said[name].told} in the SBOM"


def _hashed(tree: FileTree, listed: Sequence[Listed]) -> Iterator[str]:
    """Yield what of the rest, once each model and service, is not what the files hash to."""
    rest = [each for each in listed if each.kind not in _PACKAGES]
    own = {Kind.MODEL: _recipe(tree), Kind.SERVICE: _service(tree)}
    for kind, sha256 in own.items():
        said = [each.sha256 for each in rest if each.kind == kind]
        if said != [sha256]:
            yield f"{kind}: {sha256 or 'nothing'} in the image, {said} in the SBOM"
    for each in rest:
        if each.kind not in own:
            yield f"{each}: in the SBOM, and nothing that an image is known to hold"


def _recipe(tree: FileTree) -> str:
    path = f"{MODEL}/model.json"
    return _sha256(tree, path) if _is_file(tree, path) else ""


def _service(tree: FileTree) -> str:
    """Return the digest of the service's and the backend's sources, as their component has it."""
    backend, service = (_sources(tree, place) for place in CODE)
    document = {"backend": backend.get("backend.py"), "service": service}
    return digest_of(document).removeprefix("sha256:")


def _sources(tree: FileTree, place: str) -> Mapping[str, str]:
    return {
        path.removeprefix(f"{place}/"): _sha256(tree, path)
        for path in tree.below(place)
        if tree.entries[path].is_file and "__pycache__" not in path.split("/")
    }


def _model(tree: FileTree) -> Iterator[str]:
    """Yield the files of the model that are not those which its recipe names."""
    files = dict(found.model_files(tree))
    try:
        named = json.loads(tree.read(f"{MODEL}/model.json"))["files"]
        expected = {str(path): str(sha256) for path, sha256 in named.items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        yield f"/{MODEL}/model.json: no recipe of a model"
        return
    files.pop("model.json", None)
    for path in sorted(files.keys() | expected.keys()):
        if files.get(path) != expected.get(path):
            yield f"/{MODEL}/{path}: not what its recipe names"


def _inside(tree: FileTree, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield whether the inventory that the image holds is another than its SBOM."""
    try:
        inside = json.loads(tree.read(INVENTORY))["components"]
    except (KeyError, ValueError, TypeError):
        yield f"/{INVENTORY}: no inventory"
        return
    if inside != document.get("components"):
        yield f"/{INVENTORY}: another inventory than the SBOM"


def _root(tree: FileTree) -> int:
    """Return how many layers come before the first that holds anything of wheels or Equivec."""
    for index, members in enumerate(tree.layers):
        if any(member.path.startswith((f"{SITE}/", f"{EQUIVEC}/")) for member in members):
            return index
    return len(tree.layers)


def _is_file(tree: FileTree, path: str) -> bool:
    return path in tree.entries and tree.entries[path].is_file


def _sha256(tree: FileTree, path: str) -> str:
    digest = hashlib.sha256()
    for chunk in tree.chunks(path):
        digest.update(chunk)
    return digest.hexdigest()
