"""What takes the room in an image: `python -m builders.bench.room CELL…`, for docs/images.md.

Each package is compressed alone, by zstandard's level 11, which is about what BuildKit's best is.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import sys
from collections.abc import Iterator

import zstandard

from builders import project, verdict
from builders.audit.bytecode import source_of
from builders.errors import BenchError
from builders.formats import layout, tree
from builders.formats.layout import Layout
from builders.formats.tree import FileTree
from builders.paths import SITE
from builders.project import Project

LEVEL = 11
LEAST = 0.5
"""Megabytes below which a package is among the others."""


def main(cells: list[str]) -> None:
    """Print a line for each package of each cell's image, the largest first."""
    checkout = project.load()
    for cell in cells:
        image = _layout(checkout, cell)
        with tree.opened(image) as files:
            sizes = dict(_sizes(files))
        sys.stdout.write(f"{cell}, {image.compressed_size / 10**6:.1f} MB with the model\n")
        for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
            if size / 10**6 >= LEAST:
                sys.stdout.write(f"{size / 10**6:7.1f} MB  {name}\n")
        others = sum(size for size in sizes.values() if size / 10**6 < LEAST)
        sys.stdout.write(f"{others / 10**6:7.1f} MB  others\n")


def _layout(checkout: Project, cell: str) -> Layout:
    """Return the image that a cell's verdict is of."""
    digest = verdict.read(checkout.verdicts / f"{cell}.json").subject.digest
    for index in (checkout.store.cache / "derived" / "images").glob("*/index.json"):
        manifests = json.loads(index.read_bytes())["manifests"]
        if [manifest["digest"] for manifest in manifests] == [digest]:
            return layout.read(index.parent)
    raise BenchError(f"the image of {cell} is not in the cache", remedy="build the cell again")


def _sizes(files: FileTree) -> Iterator[tuple[str, int]]:
    """Yield each package and its compressed bytes; what is of none is the base and the service."""
    owners = dict(_owners(files))
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    paths: dict[str, list[str]] = {}
    for path in files.files():
        if not path.startswith("opt/equivec/model/"):
            owner = owners.get(source_of(path) or path, "(base image and service)")
            paths.setdefault(owner, []).append(path)
    for owner, own in paths.items():
        compressed = compressor.compressobj()
        yield (
            owner,
            sum(len(compressed.compress(c)) for path in sorted(own) for c in files.chunks(path))
            + len(compressed.flush()),
        )


def _owners(files: FileTree) -> Iterator[tuple[str, str]]:
    """Yield the files of each package, with its name and version."""
    for path in files.files():
        if path.startswith(f"{SITE}/") and path.endswith(".dist-info/RECORD"):
            name = posixpath.basename(posixpath.dirname(path)).removesuffix(".dist-info")
            for row in csv.reader(io.StringIO(files.read(path).decode(), newline="")):
                yield f"{SITE}/{row[0]}", name.replace("-", " ", 1)
            yield path, name.replace("-", " ", 1)


if __name__ == "__main__":
    main(sys.argv[1:])
