"""Opening: parcels that were built elsewhere become images to prove.

Nothing a parcel says is taken for granted that can be known here: it must be built from this very
checkout, its layout is read byte by byte, the compiled wheels are audited, and the root file system
that the image begins with is unpacked again from the locked packages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builders import image as images
from builders import model, proof, recorded
from builders.errors import LayoutError
from builders.files import sha256_of
from builders.formats import layout
from builders.formats.layout import Layout
from builders.lock import debian as debian_lock
from builders.lock.debian import DebianLock
from builders.parcels import record as records
from builders.parcels.record import DEBIAN, LAYOUT, RECORD, WHEELS, Record
from builders.plan import Cell
from builders.project import Project
from builders.rootfs import kept
from builders.wheelhouse.wheels import Wheels

_ANEW = "build it from this checkout (`nox -s build -- --to DIR`), and hand that on"
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A parcel, as it was found.

    Attributes:
        directory: Where it is.
        record: What it says of itself.
    """

    directory: Path
    record: Record

    @property
    def debian(self) -> DebianLock:
        """The lock of the root file system's packages that was in force.

        Raises:
            LockError: It is malformed.
        """
        lock = debian_lock.read_file(self.directory / DEBIAN, self.record.platform)
        return replace(lock, drift=self.record.debian_drift)

    @property
    def wheels(self) -> tuple[Path, ...]:
        """The wheels that were compiled for it, each the one that the record names.

        Raises:
            LayoutError: One is missing, or another.
        """
        found = {name: self.directory / WHEELS / name for name in self.record.wheels}
        for name, path in found.items():
            if not path.is_file() or sha256_of(path) != self.record.wheels[name]:
                raise _error(self, f"{WHEELS}/{name} is not the wheel that was compiled")
        return tuple(found.values())

    @property
    def layout(self) -> Layout:
        """Its image, verified.

        Raises:
            LayoutError: It is malformed, or another image than the record says.
        """
        found = layout.read(self.directory / LAYOUT)
        said = (self.record.digest, self.record.platform)
        if (found.manifest_digest, found.platform) != said:
            raise _error(self, f"holds {found.manifest_digest} for {found.platform}")
        return found


@dataclass(frozen=True, kw_only=True)
class Parcels:
    """The parcels below a directory.

    Attributes:
        directory: Where they were looked for.
        by_cell: Each by the id of its cell.
    """

    directory: Path
    by_cell: Mapping[str, Parcel]

    def of(self, cell: Cell) -> Parcel:
        """Return the parcel of a cell.

        Raises:
            LayoutError: There is none.
        """
        if cell.id not in self.by_cell:
            raise LayoutError(
                f"no build of it among the {len(self.by_cell)} in {self.directory}",
                where=cell.id,
                remedy="build it where images are built (`nox -s build -- --to DIR`), or leave it"
                " out of the selection",
            )
        return self.by_cell[cell.id]

    @property
    def wheels(self) -> Mapping[tuple[str, str], tuple[Path, ...]]:
        """The compiled wheels, by backend and platform; those of one backend are the same."""
        return {
            (parcel.record.backend, parcel.record.platform): parcel.wheels
            for parcel in self.by_cell.values()
            if parcel.record.wheels
        }


def find(directory: Path) -> Parcels:
    """Return the parcels below a directory, however deep an exchange of files has put them.

    Raises:
        LayoutError: There is none, two are of one cell, or one is malformed.
    """
    found: dict[str, Parcel] = {}
    for path in sorted(directory.rglob(RECORD)):
        if path.parent.name.startswith("."):  # unfinished: whoever packed it was killed
            continue
        parcel = Parcel(directory=path.parent, record=records.read(path))
        other = found.setdefault(parcel.record.cell, parcel)
        if other is not parcel:
            raise LayoutError(
                f"{parcel.record.cell} is there twice",
                where=f"{other.directory} and {parcel.directory}",
                remedy="leave one of them",
            )
    if not found:
        raise LayoutError(
            "holds no built image",
            where=str(directory),
            remedy="name the directory that `nox -s build -- --to DIR` wrote, or a copy of it",
        )
    return Parcels(directory=directory, by_cell=found)


def image(project: Project, cell: Cell, parcel: Parcel, wheels: Wheels) -> proof.Image:
    """Return the image of a parcel, to be proved here.

    Args:
        project: The checkout.
        cell: What the image is for.
        parcel: Its parcel, whose Debian packages are in the store.
        wheels: The backend's for the image's platform, the compiled ones of the parcel among them.

    Raises:
        LayoutError: The parcel is damaged, or was not built from this checkout.
        LockError: A lock is malformed.
        ModelError: The model is not what its lock says.
    """
    record = parcel.record
    _refuse_other_checkouts(project, cell, parcel)
    debian = parcel.debian
    committed = debian_lock.read(project.images / kept.BASE, cell.platform)
    if debian.digest != committed.digest and not debian.drift:
        raise _error(parcel, "its Debian packages are not those of the lock, and it names no drift")
    unpacked = layout.read(kept.root(project, debian).directory)
    if record.root[0] != unpacked.layers[0].diff_id:
        raise _error(
            parcel,
            f"begins with {record.root[0]}; its Debian packages unpack to"
            f" {unpacked.layers[0].diff_id}",
        )
    directory = model.directory(project, cell.model, cell.format)
    return proof.Image(
        layout=parcel.layout,
        labels=images.labels(
            name=cell.image,
            platform=cell.platform,
            backend=(cell.backend, project.matrix.backends[cell.backend]),
            model=(cell.model, project.matrix.models[cell.model]),
            base=record.base,
            debian_lock=debian.digest,
            wheel_lock=wheels.lock,
            model_lock=directory.digest,
        ),
        model=directory,
        debian=debian,
        root=record.root,
        drift=record.drift,
        wheels=wheels,
        build_platform=record.build_platform,
        builder=record.builder,
        builder_paths=record.builder_paths,
    )


def _refuse_other_checkouts(project: Project, cell: Cell, parcel: Parcel) -> None:
    """Refuse what was built from other files, or by another version of the program."""
    record = parcel.record
    here = recorded.files(project, cell, record.build_platform, compiled=bool(record.wheels))
    others = sorted(
        path
        for path in here.keys() | record.files.keys()
        if here.get(path) != record.files.get(path)
    )
    if others:
        more = "" if len(others) <= _SHOWN else f" and {len(others) - _SHOWN} more"
        raise _error(
            parcel,
            f"was built from another checkout: {', '.join(others[:_SHOWN])}{more} differ",
        )
    if record.suite != proof.suite(project):
        raise _error(parcel, "was built by another version of builders/ or tests/smoke/")


def _error(parcel: Parcel, problem: str) -> LayoutError:
    return LayoutError(problem, where=str(parcel.directory), remedy=_ANEW)
