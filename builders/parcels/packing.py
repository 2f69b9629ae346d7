"""Packing: an image that was built here becomes a parcel for other machines."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from builders import inputs, proof, recorded, stages, upstream
from builders import plan as plans
from builders.files import readable_json
from builders.inputs import Needs
from builders.lock import debian as debian_lock
from builders.outcome import Outcome
from builders.parcels.record import DEBIAN, LAYOUT, RECORD, WHEELS, Record
from builders.plan import Cell, Plan
from builders.project import Project
from builders.report import Reporter
from builders.stages import Shared
from builders.store import remove_tree, roomy
from builders.work import Job, begin

NOTHING_TO_BUILD = "a host's cell builds no image: it yields reference vectors"


def job(directory: Path) -> Job:
    """Return the job of building cells and packing them below a directory, without any proof."""

    def work(project: Project, cell: Cell, shared: Shared, reporter: Reporter) -> Outcome:
        begin(cell, "build", reporter)
        image = stages.built(project, cell, shared, reporter)
        begin(cell, "pack", reporter)
        with roomy(directory):
            pack(project, cell, image, directory)
        return Outcome(cell=cell, layout=image.layout)

    return Job(needs=_needs, work=work)


def planned(project: Project, plan: Plan) -> Plan:
    """Return a plan of what is to be built: no host's cells, and what answers in an API's place."""
    images = [cell for cell in plan.chosen if cell.kind == "image"]
    answering = {
        own.id
        for cell in images
        if (own := upstream.cell_of(project.matrix, cell, cell.platform)) is not None
    }

    return replace(
        plan,
        cells=tuple(
            replace(cell, left_out=None) if cell.id in answering else cell
            for cell in plans.of_images(plan, NOTHING_TO_BUILD).cells
        ),
    )


def pack(project: Project, cell: Cell, image: proof.Image, directory: Path) -> Path:
    """Write an image as the parcel `<directory>/<cell>`, in the place of an earlier one.

    The parcel is whole or not there: its directory gets its name at the end.

    Args:
        project: The checkout.
        cell: What the image is for.
        image: The image, built here.
        directory: Where parcels go.
    """
    place, unfinished = directory / cell.id, directory / f".{cell.id}"
    remove_tree(unfinished)
    unfinished.mkdir(parents=True)
    try:
        shutil.copytree(image.layout.directory, unfinished / LAYOUT, copy_function=shutil.copyfile)
        for name in image.wheels.built:
            (unfinished / WHEELS).mkdir(exist_ok=True)
            shutil.copyfile(image.wheels.directory / name, unfinished / WHEELS / name)
        (unfinished / DEBIAN).write_text(debian_lock.format_lock(image.debian), encoding="utf-8")
        content = record(project, cell, image).model_dump(mode="json")
        (unfinished / RECORD).write_bytes(readable_json(content))
        remove_tree(place)
        unfinished.rename(place)
    finally:
        remove_tree(unfinished)
    return place


def record(project: Project, cell: Cell, image: proof.Image) -> Record:
    """Return the record of an image that was built here."""
    return Record(
        cell=cell.id,
        backend=cell.backend,
        model=cell.model,
        platform=cell.platform,
        digest=image.layout.manifest_digest,
        build_platform=image.build_platform,
        builder=dict(image.builder),
        builder_paths=image.builder_paths,
        base=image.labels["org.opencontainers.image.base.digest"],
        root=image.root,
        debian_drift=image.debian.drift,
        drift=image.drift,
        wheels=dict(image.wheels.built),
        files=dict(
            recorded.files(project, cell, image.build_platform, compiled=bool(image.wheels.built))
        ),
        suite=proof.suite(project),
    )


def _needs(_: Project, cells: Sequence[Cell], build_platform: str) -> Needs:
    """Return what is to be fetched: for the images alone, and no host's wheels."""
    return Needs(
        roots=inputs.roots(cells, build_platform),
        wheels=tuple(dict.fromkeys((cell.backend, cell.platform) for cell in cells)),
        build_platform=build_platform,
    )
