"""How long it takes to state what was found of an image: inventory, verdict, signatures."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace

from builders import proof, source, stages, tools, verdict
from builders.attestation.notary import Notary
from builders.bench import service_change
from builders.bench.bench import Bench, median, nox_seconds
from builders.bench.record import Figure
from builders.formats import tree
from builders.inventory import inventory, locks
from builders.once import Once
from builders.plan import Cell
from builders.project import Project
from builders.signing import Signer, keys
from builders.signing.cosign import PASSWORD_VARIABLE, cosign
from builders.signing.credential import KEY_VARIABLE
from builders.stages import Options, Shared
from builders.store import Store

REPETITIONS = 5


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """How long one cell took."""

    inventory: float
    stated: float


def attest(bench: Bench) -> tuple[Figure, ...]:
    """Take the inventory of each image, write the verdict, state and sign it, again and again."""
    nox_seconds(bench, "build-matrix")
    project = bench.project
    cells = service_change.image_cells(project)
    engine = stages.find_engine(project, bench.reporter)
    shared = Shared(
        engine=engine,
        run="",  # no container is started
        options=Options(jobs=1, rebuild=False, reprove=False),
        debian=stages.fetch(project, cells, engine.native, bench.reporter),
        bases=Once(),
        references=Once(),
    )
    notary = _notary(bench)
    figures: list[Figure] = []
    for cell in cells:
        image = stages.built(project, cell, shared, bench.reporter)
        taken = [
            _seconds(project, cell, image, _forgetful(notary, f"{cell.id}-{number}"))
            for number in range(REPETITIONS)
        ]
        figures += (
            median("seconds", [each.inventory + each.stated for each in taken], subject=cell.id),
            median("inventory", [each.inventory for each in taken], subject=cell.id),
            median("stated", [each.stated for each in taken], subject=cell.id),
        )
    return tuple(figures)


def _seconds(project: Project, cell: Cell, image: proof.Image, notary: Notary) -> Seconds:
    """Do it once, with a verdict that was never signed before."""
    judged = verdict.read(project.verdicts / f"{cell.id}.json")
    declared = locks.declared(
        project,
        cell,
        debian=image.debian,
        root=image.root,
        wheels=image.wheels,
        directory=image.model,
    )
    diff_ids = [layer.diff_id for layer in image.layout.layers]
    with tree.opened(image.layout) as files:  # which the audit does, whatever it then looks at
        begun = time.perf_counter()
        components = inventory.take(files, diff_ids, declared).components
        taken = time.perf_counter() - begun
    # Another time of its end makes other statements, which were never signed.
    changed = {"components": components, "finished": f"{judged.finished}, {time.time_ns()}"}
    begun = time.perf_counter()
    notary.image(judged.model_copy(update=changed), image.layout)
    return Seconds(inventory=taken, stated=time.perf_counter() - begun)


def _forgetful(notary: Notary, name: str) -> Notary:
    """Return a notary with a cache of its own: nothing is kept of what was stated before."""
    store = Store(notary.project.store.cache / name)
    return replace(notary, project=replace(notary.project, store=store))


def _notary(bench: Bench) -> Notary:
    """Return a notary with a key of its own, which writes to the scratch directory."""
    project = bench.project
    root, private = bench.scratch / "checkout", bench.scratch / "user" / "cosign.key"
    shutil.copytree(project.images, root / "images", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(project.root / "matrix.yaml", root / "matrix.yaml")
    environment = {**os.environ, PASSWORD_VARIABLE: "", KEY_VARIABLE: str(private)}
    with bench.reporter.step("key") as step:
        keys.make(
            cosign(tools.find("cosign", project.store.cache, note=step.note)),
            private=private,
            public=root / "cosign.pub",
            checkout=root,
            environment=environment,
        )
        signer = Signer.of(project, environment, step.note)
    elsewhere: Project = replace(project, root=root, store=Store(bench.scratch / "cache"))
    return Notary(project=elsewhere, source=source.of(project.root), signer=signer)
