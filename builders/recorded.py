"""The files of the checkout that an image is made from: recorded, so that a rebuild can compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builders import model
from builders.cell import CellName
from builders.files import sha256_of, tree_digests
from builders.plan import Cell
from builders.project import Project
from builders.verdict import Verdict


def of_verdict(project: Project, verdict: Verdict) -> Mapping[str, str]:
    """Return the files that the image of a verdict is made from: see `files`."""
    return files(
        project,
        CellName(backend=verdict.backend, model=verdict.model, platform=verdict.subject.platform),
        verdict.environment.build_platform,
        compiled=bool(verdict.inputs.built_wheels),
    )


def files(
    project: Project, cell: Cell | CellName, build_platform: str, *, compiled: bool
) -> Mapping[str, str]:
    """Return the sha256 of each file that goes into an image, or that says how it is made.

    Args:
        project: The checkout.
        cell: What the image is for.
        build_platform: Where it is built.
        compiled: Whether wheels of it are built from source.

    Returns:
        The sha256 in hexadecimal, by the file's path in the checkout.
    """
    folders = ("base", "service", cell.backend, *(("toolchain",) if compiled else ()))
    platforms = {platform.replace("/", "-") for platform in (cell.platform, build_platform)}
    found = {
        f"images/{folder}/{path}": digest
        for folder in folders
        for path, digest in tree_digests(project.images / folder).items()
        if _concerns(path, platforms)
    }
    for path in _single(project, cell.model):
        found[path] = sha256_of(project.root / path)
    return dict(sorted(found.items()))


def _single(project: Project, name: str) -> Iterator[str]:
    yield "matrix.yaml"
    yield "images/Dockerfile"
    lock = model.lock_path(project.root, name)
    if lock.exists():
        yield lock.relative_to(project.root).as_posix()


def _concerns(path: str, platforms: set[str]) -> bool:
    """Return whether a file of a folder is anything but a lock of other platforms."""
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[2] != "locks" or name.rpartition(".")[0] in platforms
