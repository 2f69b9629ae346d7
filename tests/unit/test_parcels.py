"""Parcels: packed whole, read strictly, and only those of this very checkout are proved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import plan as plans
from builders import proof
from builders.errors import LayoutError
from builders.files import sha256_of
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.model import ModelDirectory
from builders.parcels import opening, packing
from builders.parcels.record import DEBIAN, LAYOUT, RECORD, WHEELS
from builders.plan import Cell
from builders.project import Project
from builders.selection import Selection
from builders.wheelhouse.wheels import Wheels
from tests.unit import debs, machines
from tests.unit.machines import AMD64, ARM64
from tests.unit.test_rootfs import BASE
from tests.unit.wheel_builds import debian_package, toolchain

WHEEL = "tiny-1.0-py3-none-manylinux_2_34_x86_64.whl"
BASE_NAME = "org.opencontainers.image.base.digest"
SHA = f"sha256:{'1' * 64}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return machines.project(tmp_path)


@pytest.fixture
def cell(project: Project) -> Cell:
    return machines.cell(project, AMD64)


def built(project: Project, cell: Cell, where: Path, *, compiled: bool = False) -> proof.Image:
    """Return an image as the build makes it."""
    wheels = where / WHEELS
    wheels.mkdir(parents=True)
    (wheels / WHEEL).write_bytes(b"wheel")
    return proof.Image(
        layout=machines.image(where / "image", cell.platform),
        labels={BASE_NAME: SHA},
        model=ModelDirectory(path=where, digest=SHA, files={}, size=0),
        debian=debian_lock.read(project.images / "base", cell.platform),
        root=(SHA,),
        drift=(),
        wheels=Wheels(
            directory=wheels,
            lock=wheel_lock.read(project.images / cell.backend, cell.platform).digest,
            wheels=(),
            built={WHEEL: sha256_of(wheels / WHEEL)} if compiled else {},
            promised={},
        ),
        build_platform=AMD64,
        builder={"kind": "private", "buildkit": "1"},
        builder_paths=("/somewhere/checkout",),
    )


@pytest.fixture
def image(project: Project, cell: Cell, tmp_path: Path) -> proof.Image:
    return built(project, cell, tmp_path / "built", compiled=True)


def test_what_is_packed_is_found(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    packing.pack(project, cell, image, tmp_path / "parcels")
    shutil.copytree(tmp_path / "parcels", tmp_path / "artefacts" / "some" / "place")
    shutil.rmtree(tmp_path / "parcels")

    parcels = opening.find(tmp_path / "artefacts")

    parcel = parcels.of(cell)
    assert parcel.layout.manifest_digest == image.layout.manifest_digest
    assert parcel.debian == image.debian
    (wheel,) = parcels.wheels[cell.backend, AMD64]
    assert (wheel.name, wheel.read_bytes()) == (WHEEL, b"wheel")
    record = parcel.record
    assert (record.root, record.base, record.builder) == (image.root, SHA, image.builder)
    assert record.files["matrix.yaml"] == sha256_of(project.root / "matrix.yaml")


def test_drift_goes_along(project: Project, cell: Cell, image: proof.Image, tmp_path: Path) -> None:
    moved = replace(image.debian, drift=("libc6 1 -> 2",))
    packing.pack(project, cell, replace(image, debian=moved, drift=("gcc 1 -> 2",)), tmp_path)
    parcel = opening.find(tmp_path).of(cell)
    assert parcel.debian == moved
    assert parcel.record.drift == ("gcc 1 -> 2",)


def test_a_parcel_takes_the_place_of_an_earlier_one(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    place = packing.pack(project, cell, image, tmp_path / "parcels")
    (place / "stale").touch()
    assert packing.pack(project, cell, image, tmp_path / "parcels") == place
    assert sorted(path.name for path in place.iterdir()) == [DEBIAN, LAYOUT, RECORD, WHEELS]


def test_a_parcel_is_whole_or_not_there(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    shutil.rmtree(image.wheels.directory)
    with pytest.raises(FileNotFoundError):
        packing.pack(project, cell, image, tmp_path / "parcels")
    assert list((tmp_path / "parcels").iterdir()) == []


def test_what_a_killed_run_left_is_no_parcel(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    place = packing.pack(project, cell, image, tmp_path / "parcels")
    place.rename(place.with_name(f".{place.name}"))
    with pytest.raises(LayoutError, match="holds no built image"):
        opening.find(tmp_path / "parcels")
    assert packing.pack(project, cell, image, tmp_path / "parcels") == place
    assert list((tmp_path / "parcels").iterdir()) == [place]


def test_there_must_be_one_parcel_of_a_cell(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    with pytest.raises(LayoutError, match="holds no built image"):
        opening.find(tmp_path / "nothing")
    packing.pack(project, cell, image, tmp_path / "one")
    with pytest.raises(LayoutError, match="no build of it among the 1"):
        opening.find(tmp_path / "one").of(machines.cell(project, ARM64))
    packing.pack(project, cell, image, tmp_path / "two")
    with pytest.raises(LayoutError, match="onnxruntime-fixture-768-linux-amd64 is there twice"):
        opening.find(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.update(schema_version=2),
        lambda record: record.update(digest="sha256:short"),
        lambda record: record.update(root=[]),
        lambda record: record.update(wheels={"../escape.whl": "0" * 64}),
        lambda record: record.update(more=1),
    ],
)
def test_what_is_no_record_is_refused(
    project: Project,
    cell: Cell,
    image: proof.Image,
    tmp_path: Path,
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    change(packing.pack(project, cell, image, tmp_path), spoil)
    with pytest.raises(LayoutError, match="not the record of a parcel"):
        opening.find(tmp_path)


def change(place: Path, spoil: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((place / RECORD).read_bytes())
    spoil(content)
    (place / RECORD).write_text(json.dumps(content), "utf-8")


def test_another_image_than_the_record_says_is_refused(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    place = packing.pack(project, cell, image, tmp_path / "parcels")
    shutil.rmtree(place / LAYOUT)
    other = machines.image(place / LAYOUT, AMD64, "other")
    with pytest.raises(LayoutError, match=f"holds {other.manifest_digest}"):
        _ = opening.find(tmp_path / "parcels").of(cell).layout


def test_another_wheel_than_the_record_says_is_refused(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    place = packing.pack(project, cell, image, tmp_path / "parcels")
    (place / WHEELS / WHEEL).write_bytes(b"whee1")
    with pytest.raises(LayoutError, match="is not the wheel that was compiled"):
        _ = opening.find(tmp_path / "parcels").wheels


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda record: record["files"].update({"matrix.yaml": "0" * 64}),
            "was built from another checkout: matrix.yaml differ",
        ),
        (
            lambda record: record["files"].pop("images/Dockerfile"),
            "was built from another checkout: images/Dockerfile differ",
        ),
        (
            lambda record: record.update(suite="sha256:other"),
            "was built by another version of builders/ or tests/smoke/",
        ),
    ],
)
def test_what_was_built_from_another_checkout_is_refused(
    project: Project,
    cell: Cell,
    tmp_path: Path,
    spoil: Callable[[dict[str, Any]], None],
    reason: str,
) -> None:
    image = built(project, cell, tmp_path / "built")
    change(packing.pack(project, cell, image, tmp_path / "parcels"), spoil)
    parcel = opening.find(tmp_path / "parcels").of(cell)
    with pytest.raises(LayoutError, match=reason):
        opening.image(project, cell, parcel, image.wheels)


def test_other_packages_than_the_locks_have_to_be_drift(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    place = packing.pack(project, cell, image, tmp_path / "parcels")
    other = replace(toolchain(debian_package("libc6", b"other")), platform=AMD64)
    (place / DEBIAN).write_text(debian_lock.format_lock(other), "utf-8")
    parcel = opening.find(tmp_path / "parcels").of(cell)
    with pytest.raises(LayoutError, match="not those of the lock, and it names no drift"):
        opening.image(project, cell, parcel, image.wheels)


def test_an_image_must_begin_with_the_packages_that_it_names(
    project: Project, cell: Cell, image: proof.Image, tmp_path: Path
) -> None:
    content = debs.deb(tmp_path, "base", BASE).read_bytes()
    package = debian_package("base", content)
    project.store.partial(package.sha256).write_bytes(content)
    assert project.store.add(package.sha256, project.store.partial(package.sha256)) is not None
    moved = replace(toolchain(package), drift=("base 1 -> 2",))
    packing.pack(project, cell, replace(image, debian=moved), tmp_path / "parcels")
    parcel = opening.find(tmp_path / "parcels").of(cell)
    with pytest.raises(LayoutError, match=f"begins with {SHA}; its Debian packages unpack to"):
        opening.image(project, cell, parcel, image.wheels)


def test_what_is_built_is_images_and_what_answers_for_apis(project: Project) -> None:
    chosen = Selection(backends=("openai",), models=("fixture-768-api",))
    planned = packing.planned(project, plans.plan(project.matrix, chosen, AMD64))
    ids = {cell.id for cell in planned.chosen}
    assert "onnxruntime-fixture-768-linux-arm64" in ids
    assert not any(cell.kind == "host" for cell in planned.chosen)
