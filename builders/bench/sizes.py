"""How large images and built wheels are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from builders import verdict
from builders.bench import anew
from builders.bench.bench import Bench, nox_seconds
from builders.bench.record import Figure
from builders.errors import BenchError
from builders.project import Project
from builders.wheelhouse import recipe as recipes

IMAGES = ("onnxruntime", "llama-cpp", "sentence-transformers")
"""The backends of which a size is claimed, each by a claim of its name."""

BUILT = ("llama-cpp", "llama-cpp-python")
"""The backend and the project whose wheel is built from source."""


def size(bench: Bench) -> tuple[Figure, ...]:
    """Read the images' sizes from their verdicts, and the wheels' from the wheels."""
    nox_seconds(bench, "build-matrix")
    figures: list[Figure] = []
    for backend in IMAGES:
        for cell in anew.image_cells(bench.project, backend):
            read = verdict.read(bench.project.verdicts / f"{cell.id}.json")
            figures.append(
                Figure(
                    claim=backend,
                    subject=cell.id,
                    value=read.subject.compressed_bytes_without_model / 10**6,
                )
            )
            figures += _of_wheels(bench.project, cell.platform, read.inputs.built_wheels)
    return tuple(figures)


def _of_wheels(project: Project, platform: str, built: dict[str, str]) -> Iterator[Figure]:
    for file, sha256 in built.items():
        path = project.store.path(sha256)
        if not path.exists():
            raise BenchError("the wheel is not in the cache", where=file)
        backend, name = BUILT
        dispatched = recipes.read(project.images / backend, name).document.dispatched
        alone = sizes_alone(path, dispatched)
        variant = max(alone, key=lambda each: alone[each])
        yield Figure(claim="wheel", subject=platform, value=path.stat().st_size / 10**6)
        yield Figure(
            claim="one-variant",
            subject=f"{platform}, {PurePosixPath(variant).name}",
            value=alone[variant] / 10**6,
        )


def sizes_alone(wheel: Path, dispatched: tuple[str, ...]) -> dict[str, int]:
    """Return how large a wheel would be with each of its variants alone, in bytes.

    That is its size without the compressed content of the others, as the archive's directory states
    it; their entries in that directory and in RECORD are left in.

    Args:
        wheel: The file.
        dispatched: Glob patterns of the libraries of which one is chosen at run time.
    """
    with zipfile.ZipFile(wheel) as archive:
        variants = {
            info.filename: info.compress_size
            for info in archive.infolist()
            if any(fnmatchcase(info.filename, pattern) for pattern in dispatched)
        }
    whole, every = wheel.stat().st_size, sum(variants.values())
    return {name: whole - every + own for name, own in variants.items()}
