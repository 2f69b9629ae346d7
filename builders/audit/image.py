"""Audit of the image as a whole: its size, its configuration, and whether it is what went in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from builders.audit.bytecode import source_of
from builders.check import Check, from_findings
from builders.formats.layer import Kind
from builders.formats.layout import Layout
from builders.formats.tree import FileTree
from builders.paths import EQUIVEC, INVENTORY, MODEL, THIRD_PARTY

USER = "65532:65532"

_MEGABYTE = 10**6


def bytes_without_model(tree: FileTree, layout: Layout) -> int:
    """Return the compressed size of all layers but those that hold the model and nothing else."""
    return sum(
        blob.size
        for blob, members in zip(layout.layers, tree.layers, strict=True)
        if not (files := [m.path for m in members if m.kind is not Kind.DIRECTORY])
        or not all(path.startswith(f"{MODEL}/") for path in files)
    )


def size(tree: FileTree, layout: Layout, budget: float) -> Check:
    """Check the compressed size without the model; figure and limit in megabytes (10^6 bytes)."""
    figure = bytes_without_model(tree, layout) / _MEGABYTE
    return Check(
        name="size-without-model", passed=figure <= budget, figure=round(figure, 3), limit=budget
    )


def configuration(tree: FileTree, layout: Layout, platform: str) -> Check:
    """Check the platform, the user that a container runs as, and that its program is there."""
    return from_findings("configuration", _configuration(tree, layout, platform))


def labels(layout: Layout, expected: Mapping[str, str]) -> Check:
    """Check that the labels are those that depend on the inputs, and no other."""
    found = layout.run.labels
    missing = (f"{name}: not there" for name in expected if name not in found)
    extra = (f"{name}: {found[name]!r}, not expected" for name in found if name not in expected)
    different = (
        f"{name}: {found[name]!r}, not {expected[name]!r}"
        for name in found
        if name in expected and found[name] != expected[name]
    )
    return from_findings("labels", (*missing, *extra, *different), figure=len(found))


def inputs(tree: FileTree, expected: Mapping[str, str]) -> Check:
    """Check that service, backend and model are byte for byte what went in, and nothing more.

    Args:
        tree: The image's files.
        expected: The sha256 of each file below `EQUIVEC`, by its path relative to the root.
    """
    return from_findings("inputs", _inputs(tree, expected), figure=len(expected))


def _configuration(tree: FileTree, layout: Layout, platform: str) -> Iterator[str]:
    if layout.platform != platform:
        yield f"is for {layout.platform}, not {platform}"
    if layout.run.user != USER:
        yield f"runs as {layout.run.user or 'root'}, not {USER}"
    program = layout.run.entrypoint[0] if layout.run.entrypoint else ""
    if not program.startswith("/"):
        yield f"its entry point is {program!r}, no absolute path"
    elif not tree.is_executable(program):
        yield f"its entry point {program} is no program of the image"


def _inputs(tree: FileTree, expected: Mapping[str, str]) -> Iterator[str]:
    for path, digest in expected.items():
        entry = tree.entries.get(path)
        if entry is None or not entry.is_file:
            yield f"/{path}: not there"
            continue
        found = hashlib.sha256()
        for chunk in tree.chunks(path):
            found.update(chunk)
        if found.hexdigest() != digest:
            yield f"/{path}: not what went in"
    for path in tree.below(EQUIVEC):
        # The service refuses a model with a file that its recipe does not name.
        ours = not path.startswith(f"{MODEL}/")
        known = path in expected or (ours and source_of(path) in expected)
        told = path in (INVENTORY, THIRD_PARTY)  # held against all other files: `notices`
        if not (known or told or tree.entries[path].is_directory):
            yield f"/{path}: did not go in"
