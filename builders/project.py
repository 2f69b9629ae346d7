"""A checkout with its matrix, and the cache that serves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from builders import matrix
from builders.matrix import Matrix
from builders.matrix.publication import DIRECTORY, REGISTRY
from builders.paths import ROOT
from builders.store import Store, cache_directory

PUBLICATION = "dist/images"
"""The publication's directory where matrix.yaml names only registries."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """What every command works on.

    Attributes:
        root: The checkout.
        matrix: Its matrix.yaml.
        store: The cache of inputs and of what was made from them.
    """

    root: Path
    matrix: Matrix
    store: Store

    @property
    def images(self) -> Path:
        """What goes into images: one folder per backend."""
        return self.root / "images"

    @property
    def sboms(self) -> Path:
        """Where the SBOM of each cell's image is written."""
        return self.root / "dist" / "sboms"

    @property
    def verdicts(self) -> Path:
        """Where the verdict of each cell is written."""
        return self.root / "dist" / "verdicts"

    @property
    def attestations(self) -> Path:
        """Where what is stated about each image and index is written, by digest."""
        return self.root / "dist" / "attestations"

    @property
    def records(self) -> Path:
        """Where each cell's smoke tests leave their facts, results and logs."""
        return self.root / "dist" / "records"

    @property
    def publication(self) -> Path:
        """The OCI image layout that holds what passed; registries are filled from it."""
        named = [
            place.removeprefix(DIRECTORY)
            for place in self.matrix.publication
            if place.startswith(DIRECTORY)
        ]
        return self.root / (named[0] if named else PUBLICATION)

    @property
    def registries(self) -> tuple[str, ...]:
        """The registries that get what passed, without `docker://`."""
        return tuple(
            place.removeprefix(REGISTRY)
            for place in self.matrix.publication
            if place.startswith(REGISTRY)
        )

    @property
    def without_registries(self) -> Project:
        """The same checkout, whose publication is its directory alone."""
        places = tuple(each for each in self.matrix.publication if not each.startswith(REGISTRY))
        matrix = self.matrix.model_copy(update={"publication": places})
        return replace(self, matrix=matrix)


def load(root: Path = ROOT) -> Project:
    """Read the checkout's matrix and open the cache.

    Raises:
        MatrixError: matrix.yaml is wrong.
        StoreError: The cache directory cannot be written.
    """
    return Project(
        root=root, matrix=matrix.load(root / "matrix.yaml"), store=Store(cache_directory())
    )
