"""What is to be released, and what the verdicts of it must say: from the checkout alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from builders import licences, model, proof
from builders import source as sources
from builders.errors import SelectionError
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.matrix import Format, Release
from builders.plan import Cell, Plan
from builders.project import Project
from builders.selection import Selection
from builders.source import Source
from builders.space import vector_space

_FIXTURE = "fixture:"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the image of one platform must have been made from, as the checkout has it.

    Attributes:
        debian_lock: `sha256:…` of the committed lock.
        wheel_lock: Likewise.
        model: `sha256:…` of the model's recipe, which names every file.
    """

    debian_lock: str
    wheel_lock: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An image that is to be released.

    Attributes:
        name: `<prefix>/<backend>-<model>`.
        vector_space: The model's, as matrix.yaml has it.
        platforms: What it must have been made from, by each platform that it can be for.
        required: Those platforms that it must have.
        refusals: Why it can never be released, whatever its verdicts say.
    """

    name: str
    vector_space: str
    platforms: Mapping[str, Inputs]
    required: tuple[str, ...]
    refusals: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What every verdict must say.

    Attributes:
        source: The checkout's revision, and whether it is clean.
        suite: `sha256:…` of the tests of this checkout.
        epoch: Of matrix.yaml.
        native: Whether an emulated container does not count.
    """

    source: Source
    suite: str
    epoch: int
    native: bool

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why nothing can be released from this checkout."""
        if self.source.revision is None:
            return ("Git knows no revision of the checkout: nobody could tell what was released",)
        if not self.source.clean:
            return ("the checkout has changes that are not committed: `git status` lists them",)
        return ()


def selection(asked: Selection, policy: Release) -> Selection:
    """Return what is to be released: as it is asked for, or by the policy what is not named."""
    if asked.all or asked.only:
        return asked
    return replace(
        asked, backends=asked.backends or policy.backends, models=asked.models or policy.models
    )


def wanted(project: Project, planned: Plan) -> tuple[Wanted, ...]:
    """Return the images that a selection asks for, in the order of matrix.yaml.

    Args:
        project: The checkout.
        planned: The plan: an image is asked for where one of its cells is selected.

    Raises:
        LockError: A lock is missing or malformed.
        SelectionError: There is no such image.
    """
    possible = [
        cell
        for cell in planned.cells
        if cell.kind == "image" and cell.runner is not None and not cell.refusal_expected
    ]
    names = dict.fromkeys(cell.image for cell in possible if cell.selected)
    if not names:
        raise SelectionError(
            "no image is selected",
            where="selection",
            remedy="select others; `nox -s plan -- --all` shows every cell",
        )
    return tuple(
        _wanted(project, [cell for cell in possible if cell.image == name]) for name in names
    )


def demands(project: Project) -> Demands:
    """Return what the verdicts must say that are released from a checkout."""
    return Demands(
        source=sources.of(project.root),
        suite=proof.suite(project),
        epoch=project.matrix.epoch,
        native=project.matrix.release.execution == "native",
    )


def _wanted(project: Project, cells: Sequence[Cell]) -> Wanted:
    """Return what one image must be.

    Args:
        project: The checkout.
        cells: Those of its platforms that it can be for.
    """
    one = cells[0]
    required = tuple(
        cell.platform for cell in cells if cell.platform in project.matrix.release.platforms
    )
    return Wanted(
        name=one.image,
        vector_space=vector_space(project.matrix.models[one.model]),
        platforms={
            cell.platform: _inputs(project, cell, cell.format)
            for cell in cells
            if cell.format is not None  # a cell that any machine can do has one
        },
        required=required,
        refusals=tuple(_refusals(project, one, required)),
    )


def _inputs(project: Project, cell: Cell, form: Format) -> Inputs:
    return Inputs(
        debian_lock=debian_lock.read(project.images / "base", cell.platform).digest,
        wheel_lock=wheel_lock.read(project.images / cell.backend, cell.platform).digest,
        model=f"sha256:{model.recipe_digest(project, cell.model, form)}",
    )


def _refusals(project: Project, cell: Cell, required: tuple[str, ...]) -> Iterator[str]:
    entry = project.matrix.models[cell.model]
    if entry.source.startswith(_FIXTURE):
        yield f"{cell.model} is a fixture: its weights are made up"
    licence = licences.refusal(project.matrix, cell.model)
    if licence is not None:
        yield licence.problem
    if not required:
        listed = ", ".join(project.matrix.release.platforms)
        yield f"{cell.backend} is for none of the platforms of release.platforms: {listed}"
