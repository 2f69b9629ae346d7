"""Repetition: a published image is built again from the inputs that its provenance records."""

from __future__ import annotations

import contextlib
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders import plan, rebuild, recorded
from builders.attestation.provenance import Provenance, provenance_of
from builders.attestation.statement import Kind
from builders.cell import CellName
from builders.errors import MatrixError, ProcessError, RebuildError, SelectionError
from builders.formats.layout import Layout
from builders.matrix import load
from builders.plan import Cell
from builders.process import run
from builders.project import Project
from builders.rebuild import Rebuilt
from builders.report import Reporter
from builders.verification.published import Published, platforms
from builders.verification.stated import Stated, Trusted, counted

_INPUTS = ("matrix.yaml", "images")
"""All of a checkout that images are made from."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""What a provenance may name: it is somebody's word, and becomes an argument of Git's."""

_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A published image, and what its provenance says that it was made from."""

    layout: Layout
    provenance: Provenance

    @property
    def name(self) -> CellName:
        """The cell that it is of."""
        asked = self.provenance.build_definition.external_parameters
        return CellName(backend=asked.backend, model=asked.model, platform=asked.platform)

    @property
    def builder(self) -> Mapping[str, str]:
        """What built it: the version of each part, and its platform."""
        internal = self.provenance.build_definition.internal_parameters
        return {**self.provenance.run_details.builder.version, "platform": internal.build_platform}


def gather(
    published: Published, trusted: Trusted, selected: Sequence[str], directory: Path
) -> tuple[Recorded, ...]:
    """Pull what is published, and read what its provenance records.

    Args:
        published: An index, or one platform's manifest.
        trusted: Whose provenance counts; nobody: anyone's.
        selected: The platforms that are asked for; none: all.
        directory: Where the images are put, one below the other.

    Raises:
        RebuildError: An image has no provenance that counts.
        SelectionError: It is for none of the platforms.
        As `Published.pulled`.
    """
    images = {
        platform: digest
        for platform, digest in platforms(
            published.manifest(published.digest), published.digest
        ).items()
        if not selected or platform in ("", *selected)
    }
    if not images:
        raise SelectionError(
            f"{published.where} is for none of {', '.join(selected)}", where="--platform"
        )
    return tuple(
        _gathered(published, trusted, platform, digest, directory / str(number))
        for number, (platform, digest) in enumerate(images.items())
    )


def _gathered(
    published: Published, trusted: Trusted, platform: str, digest: str, directory: Path
) -> Recorded:
    stated = Stated(
        digest=digest,
        manifest=published.manifest(digest),
        attestations=published.target.attestations(published.name, digest),
    )
    count, refused = counted(Kind.PROVENANCE, stated, trusted)
    if not count:
        raise RebuildError(
            f"no provenance that counts{''.join(f': {each}' for each in refused)}",
            where=published.reference(digest),
            remedy="publish it with its attestations: docs/attestations.md",
        )
    return Recorded(
        layout=published.pulled(platform, digest, directory),
        provenance=provenance_of(count[-1][1].statement),
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A checkout, and how far it has what an image was made from.

    Attributes:
        cell: The image's.
        others: The recorded files that are missing, or others, here.
    """

    project: Project
    cell: Cell
    others: tuple[str, ...]


def repeat(project: Project, images: Sequence[Recorded], reporter: Reporter) -> tuple[Rebuilt, ...]:
    """Build published images again, from the recorded inputs as far as they are here, and compare.

    The inputs are those of this checkout if their digests are the recorded ones; else those of the
    recorded revision, if Git has it; else this checkout's, and what is not the same is told.

    Args:
        project: The checkout.
        images: What is published.
        reporter: Told what goes on.

    Raises:
        RebuildError: Neither the checkout nor the recorded revision has such a cell.
        As `rebuild.rebuild`.
    """
    with contextlib.ExitStack() as stack:
        places: dict[Path, list[tuple[_Place, Recorded]]] = {}
        archives: dict[str, Project | None] = {}
        for image in images:
            place = _place(project, image, archives, stack, reporter)
            places.setdefault(place.project.root, []).append((place, image))
        return tuple(
            rebuilt
            for work in places.values()
            for rebuilt in rebuild.rebuild(
                work[0][0].project,
                [place.cell for place, _ in work],
                reporter,
                published={
                    place.cell.id: rebuild.Published(
                        layout=image.layout,
                        builder=image.builder,
                        others=place.others,
                    )
                    for place, image in work
                },
            )
        )


def _place(
    project: Project,
    image: Recorded,
    archives: dict[str, Project | None],
    stack: contextlib.ExitStack,
    reporter: Reporter,
) -> _Place:
    """Return the checkout that has an image's recorded inputs, or the most that there is.

    Args:
        project: The checkout.
        image: The image.
        archives: The checkouts of revisions so far.
        stack: Removes them.
        reporter: Told what is taken.
    """
    here = _looked(project, image)
    source = image.provenance.build_definition.external_parameters.source
    if here is not None and not here.others:
        reporter.note(image.name.id, "this checkout has the recorded inputs")
        return here
    if source.revision is not None and source.revision not in archives:
        archives[source.revision] = _archived(project, source.revision, stack)
    archive = archives.get(source.revision or "")
    there = None if archive is None else _looked(archive, image)
    if there is not None and (here is None or len(there.others) < len(here.others)):
        reporter.note(image.name.id, f"the inputs are those of revision {source.revision}")
        return there
    if here is None:
        raise RebuildError(
            f"matrix.yaml has no such backend, model or platform, and Git no revision"
            f" {source.revision} that has",
            where=image.name.id,
            remedy="fetch the repository's history, or check that revision out",
        )
    return here


def _looked(project: Project, image: Recorded) -> _Place | None:
    """Look which recorded files a checkout has; None if it has no such cell."""
    name, matrix = image.name, project.matrix
    if (
        name.backend not in matrix.backends
        or name.model not in matrix.models
        or name.platform not in matrix.platforms
    ):
        return None
    cell = plan.cell(matrix, name.backend, name.model, name.platform)
    definition = image.provenance.build_definition
    compiled = any("wheel" in (each.annotations or {}) for each in definition.resolved_dependencies)
    build_platform = definition.internal_parameters.build_platform
    files = recorded.files(project, cell, build_platform, compiled=compiled)
    said = image.provenance.files
    others = tuple(
        path for path in sorted(said.keys() | files) if said.get(path) != files.get(path)
    )
    return _Place(project=project, cell=cell, others=others)


def _archived(project: Project, revision: str, stack: contextlib.ExitStack) -> Project | None:
    """Return a checkout of what images are made from at a revision; None if Git has none here."""
    if not _COMMIT.fullmatch(revision):
        return None
    root = Path(stack.enter_context(_directory()))
    archive = root.with_suffix(".tar")
    words = ("git", "-C", str(project.root), "archive", "--format=tar", f"--output={archive}")
    try:
        run((*words, revision, "--", *_INPUTS), timeout=_SECONDS)
        with tarfile.open(archive) as members:
            members.extractall(root, filter="data")
        return replace(project, root=root, matrix=load(root / "matrix.yaml"))
    except (ProcessError, MatrixError):
        return None


@contextlib.contextmanager
def _directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="equivec-revision-") as place:
        (Path(place) / "checkout").mkdir()
        yield str(Path(place) / "checkout")
