"""Bit for bit: images are built again from their inputs alone, elsewhere, and compared.

What is repeated is everything that is made from the locked inputs; the inputs themselves are taken
from the store, each by its sha256.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders import engine, stages
from builders.difference import Difference, compare
from builders.engine import Engine
from builders.engine.configuration import places
from builders.errors import EquivecError, PreflightError, RebuildError, SelectionError
from builders.files import tree_digests
from builders.formats.layout import Layout
from builders.matrix import load
from builders.once import Once
from builders.plan import Cell
from builders.project import Project
from builders.report import Reporter
from builders.stages import Options, Shared
from builders.store import Store, remove_tree

UMASK = 0o077
"""Under it, what a rebuild writes can be read by its owner alone: the default is that nowhere."""

SHOWN = 20
"""How many findings an error lists."""

BUILDER = ("platform", "buildkit", "buildx")
"""What of a builder an image's bytes depend on: with another, layers are compressed otherwise."""

_REMEDY = "what differs was not made from the inputs alone: find the instruction that wrote it"

_UNLIKE = "rebuild it from the recorded revision, with the recorded builder"


@dataclass(frozen=True, kw_only=True)
class Published:
    """An image that was published, to be compared with instead of one that is kept here.

    Attributes:
        builder: What of its builder is recorded: the version of each part, and its platform.
        others: The files that it was made from and that are missing, or others, here.
    """

    layout: Layout
    builder: Mapping[str, str]
    others: tuple[str, ...]

    def unlike(self, here: Mapping[str, str]) -> tuple[str, ...]:
        """Return in what its builder was another than the one here, a line for each part."""
        return tuple(
            f"{part}: {self.builder.get(part, 'none')} then, {here.get(part, 'none')} here"
            for part in BUILDER
            if self.builder.get(part) != here.get(part)
        )


NOTHING: Mapping[str, Published] = {}


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What became of a cell's rebuild.

    Attributes:
        difference: Of the rebuilt image from the kept one; None where there was nothing to compare.
        error: Why it is not identical; None if it is.
    """

    cell: Cell
    difference: Difference | None = None
    error: EquivecError | None = None


def rebuild(
    project: Project,
    cells: Sequence[Cell],
    reporter: Reporter,
    *,
    published: Mapping[str, Published] = NOTHING,
) -> tuple[Rebuilt, ...]:
    """Build images again, from nothing that was made before, and compare them with those kept.

    An image that is not kept is built first. One that differs does not keep the others from being
    compared.

    Args:
        project: The checkout.
        cells: Whose images.
        reporter: Told what goes on.
        published: Images to compare with instead of those kept, by the cell's id.

    Raises:
        EngineError: There is no engine.
        FetchError: Inputs cannot be fetched.
        LockError: A lock is missing or malformed.
        SelectionError: None of the cells has an image.
    """
    images = [cell for cell in cells if cell.kind == "image" and cell.refused is None]
    for cell in cells:
        if cell.refused is not None and cell.refusal_expected:
            reporter.refused(cell.id, cell.refused)
        elif cell.refused is not None:
            raise PreflightError(cell.refused, where=cell.id)
    if not images:
        raise SelectionError("only images can be rebuilt", remedy="select a linux platform")
    used = stages.find_engine(project, reporter)
    shared = Shared(
        engine=used,
        run="",  # no container is started
        options=Options(jobs=1, rebuild=False, reprove=False),
        debian=stages.fetch(project, images, used.native, reporter),
        bases=Once(),
        references=Once(),
    )
    kept = [published.get(cell.id) or _kept(project, cell, shared, reporter) for cell in images]
    with _elsewhere(project) as other, _builder(used, project, other, reporter) as builder:
        fresh = replace(
            shared, engine=builder, options=replace(shared.options, rebuild=True), bases=Once()
        )
        return tuple(
            _rebuilt(other, cell, image, fresh, reporter)
            for cell, image in zip(images, kept, strict=True)
        )


def stop_engine(cache: Path) -> bool:
    """End the engine that a killed rebuild left; return whether there was one."""
    return engine.stop(_cache(cache / "rebuild"), packages=places(cache).packages)


def described(difference: Difference) -> str:
    """Tell how a rebuilt image compares: one line, or one for each of the first findings too."""
    if difference.identical:
        return f"identical {difference.kept}, 0 differing bytes"
    digests = f"{difference.rebuilt} instead of {difference.kept}"
    lines = [
        f"{digests}, {difference.differing_bytes} differing bytes",
        *map(str, difference.findings[:SHOWN]),
    ]
    if len(difference.findings) > SHOWN:
        lines.append(f"and {len(difference.findings) - SHOWN} more")
    return "\n  ".join(lines)


def _kept(
    project: Project, cell: Cell, shared: Shared, reporter: Reporter
) -> Layout | EquivecError:
    """Return the image that is kept for a cell's inputs, or why there is none."""
    reporter.stage(cell.id, "kept image")
    try:
        return stages.built(project, cell, shared, reporter).layout
    except EquivecError as error:
        return error


def _rebuilt(
    other: Project,
    cell: Cell,
    kept: Layout | Published | EquivecError,
    shared: Shared,
    reporter: Reporter,
) -> Rebuilt:
    """Build an image again and compare it with the kept one; what goes wrong is told."""
    difference = None
    try:
        if isinstance(kept, EquivecError):
            raise kept
        reporter.stage(cell.id, "rebuild")
        layout = stages.built(other, cell, shared, reporter).layout
        reporter.stage(cell.id, "compare")
        if isinstance(kept, Published):
            difference = compare(kept.layout, layout)
            text = _like_published(cell, kept, layout, difference, shared.engine)
        else:
            difference = compare(kept, layout)
            text = described(difference)
            if not difference.identical:
                raise RebuildError(text, where=cell.id, remedy=_REMEDY)
    except EquivecError as error:
        reporter.failed(cell.id, error)
        return Rebuilt(cell=cell, difference=difference, error=error)
    reporter.passed(cell.id, text)
    return Rebuilt(cell=cell, difference=difference)


def _like_published(
    cell: Cell, published: Published, layout: Layout, difference: Difference, engine: Engine
) -> str:
    """Say how a rebuilt image is the published one: bit for bit, or by another builder's hand.

    Where that is another, layers may be compressed otherwise: then the configuration is compared,
    which names the digest of each layer before compression.

    Raises:
        RebuildError: It is another.
    """
    unlike = published.unlike({**engine.described, "platform": engine.native})
    if difference.identical:
        return described(difference)
    if unlike and published.layout.config_digest == layout.config_digest:
        return (
            f"the same configuration and layers {layout.config_digest}, compressed by another"
            f" builder ({'; '.join(unlike)})"
        )
    others = tuple(f"made from another {path} than is here" for path in published.others)
    raise RebuildError(
        "\n  ".join((described(difference), *unlike, *others[:SHOWN])),
        where=cell.id,
        remedy=_UNLIKE if unlike or others else _REMEDY,
    )


@contextlib.contextmanager
def _elsewhere(project: Project) -> Iterator[Project]:
    """Give a copy of what goes into images, with a cache that holds inputs and nothing else.

    Directories, times and modes are others than those of the checkout. The place has one name, so
    that what a killed run left there is found and removed.
    """
    place = project.store.cache / "rebuild"
    with project.store.exclusive("rebuild"), _umask(UMASK):
        _clear(project, place)
        try:
            root = place / "checkout"
            if len(str(root)) == len(str(project.root)):
                root = place / "another-checkout"
            _copy(project, root)
            cache = _cache(place)
            cache.mkdir(parents=True)
            (cache / "store").symlink_to(project.store.cache.resolve() / "store")
            yield Project(root=root, matrix=load(root / "matrix.yaml"), store=Store(cache))
        finally:
            _clear(project, place)


@contextlib.contextmanager
def _builder(
    used: Engine, project: Project, other: Project, reporter: Reporter
) -> Iterator[Engine]:
    """Give an engine for the rebuild: a private one gets a twin that has never built anything.

    `--no-cache` repeats every instruction, but BuildKit would still find the compressed form of a
    layer that it has met: that of the unpacked Debian packages.
    """
    with reporter.step("builder") as step:
        if used.kind != "private":
            step.note(f"{used.host}, without its cache")
            fresh = used
        else:
            step.note("a private engine that has built nothing")
            packages = places(project.store.cache).packages
            fresh = engine.find(
                other.store.cache, named=engine.PRIVATE, note=step.note, packages=packages
            )
    yield fresh


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    previous = os.umask(mask)
    try:
        yield
    finally:
        os.umask(previous)


def _copy(project: Project, root: Path) -> None:
    """Copy what goes into images, with modes and times as the umask and the clock make them."""
    for path in ("matrix.yaml", *(f"images/{path}" for path in tree_digests(project.images))):
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(project.root / path, target)


def _clear(project: Project, place: Path) -> None:
    """End the engine of a rebuild, if it has one, and delete all that the rebuild made."""
    stop_engine(project.store.cache)
    remove_tree(place)


def _cache(place: Path) -> Path:
    return place / "cache"
