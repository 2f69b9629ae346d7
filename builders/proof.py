"""The proof of one image: audit, smoke tests and parity, in one verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from docker import DockerClient

from builders import anchor as anchors
from builders import comparison, exact_answers, host, known_answers, list_file, smoke, upstream
from builders import corpus as corpora
from builders.audit import Audit, AuditInputs, audit
from builders.check import Check
from builders.corpus import Corpus
from builders.engine import Engine
from builders.engine import images as engine_images
from builders.files import digest_of, sha256_of, tree_digests
from builders.formats.layout import Layout
from builders.inputs import shell
from builders.inventory import locks
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.model import ModelDirectory
from builders.paths import EQUIVEC
from builders.plan import Cell
from builders.project import Project
from builders.smoke.cell import SmokeCell, SmokeWheel
from builders.smoke.subject import EMULATED, NATIVE
from builders.smoke.subject import Subject as SmokeSubject
from builders.space import vector_space
from builders.timing import Parts
from builders.vectors import Vectors
from builders.verdict import Environment, Inputs, Subject, Verdict
from builders.wheelhouse.wheels import Wheels

COMMAND_SECONDS = {"native": 180, "emulated": 600}
"""How long one command of the smoke tests may take in the container."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image to prove, and what it was made from.

    Attributes:
        labels: Those that it must have.
        debian: The Debian lock in force.
        root: The diffIDs of the layers of the root file system, which is unpacked from it.
        drift: Where the root file systems that it was made with differ from the committed locks.
        wheels: Those that are in it.
        build_platform: What it was built on.
        builder: Kind and versions of the engine that built it.
        builder_paths: Directories of the machine that built it, which no file may mention.
        upstream: The image that answers in the place of an API; None if it asks none.
    """

    layout: Layout
    labels: Mapping[str, str]
    model: ModelDirectory
    debian: DebianLock
    root: tuple[str, ...]
    drift: tuple[str, ...]
    wheels: Wheels
    build_platform: str
    builder: Mapping[str, str]
    builder_paths: tuple[str, ...]
    upstream: Layout | None = None


def suite(project: Project) -> str:
    """Return the digest of all that judges: a verdict by another suite is another verdict."""
    return digest_of(
        {
            "builders": dict(tree_digests(project.root / "builders")),
            "smoke": dict(tree_digests(project.root / "tests" / "smoke")),
        }
    )


def corpus(project: Project, cell: Cell) -> Corpus:
    """Return what a cell's model takes of the corpus, be it embedded or refused."""
    return corpora.committed(project.root, project.matrix.models[cell.model])


def key(project: Project, cell: Cell, image: Image, engine: Engine) -> str:
    """Return the digest of all that a verdict depends on: an equal one need not be made again."""
    model = project.matrix.models[cell.model]
    return digest_of(
        {
            "budget": project.matrix.backends[cell.backend].budget_mb,
            "corpus": corpus(project, cell).digest,
            "exact answers": dict(exact_answers.digests(project.root / exact_answers.COMMITTED)),
            "known answers": model.model_dump(include={"known_answers"}),
            "builder": [image.build_platform, *image.builder.values()],
            "drift": list(image.drift),  # a renewed lock may give the same image without it
            "refused texts": _refused(project, cell).digest,
            "engine": [engine.native, *engine.described.values()],
            "host": [host.current(), host.processor()],
            "image": [cell.image, image.layout.manifest_digest],
            "suite": suite(project),
            "upstream": None if image.upstream is None else image.upstream.manifest_digest,
            "references": _references(project, cell),
            "tolerance": project.matrix.tolerances[model.precision].model_dump(),
            "versions": list(project.matrix.backends[cell.backend].versions_may_differ),
            "tolerance of the anchor": anchors.tolerance(project.matrix, cell).model_dump(),
        }
    )


def judge(
    project: Project,
    cell: Cell,
    image: Image,
    *,
    reference: Callable[[], Vectors],
    anchor: Callable[[], Vectors | None],
    engine: Engine,
    client: DockerClient,
    run: str,
    stage: Callable[[str], None],
    note: Callable[[str], None],
) -> Verdict:
    """Check an image in every way, and state what was found.

    Args:
        project: The checkout.
        cell: What the image is for.
        image: The image.
        reference: Gives the host's vectors of the whole corpus.
        anchor: Gives the host's vectors of the anchor, if it is another cell.
        engine: Where the container runs.
        client: The same engine, connected.
        run: The run that the container belongs to.
        stage: Told which stage begins.
        note: Told what a stage does.

    Raises:
        ArchiveError: A layer holds what no layer may.
        EngineError: The engine failed.
        SmokeError: The container gave nothing that could be judged.
        ReferenceVectorsError: There are no vectors to compare with.
    """
    stages = Parts(tell=stage)
    with stages.timed("audit"):
        audited = audit(image.layout, _expected(project, cell, image))
    with stages.timed("load"):
        digest = engine_images.load(client, image.layout)
        if image.upstream is not None:
            engine_images.load(client, image.upstream)
    with stages.timed("smoke"):
        subject = _subject(project, cell, image, audited, emulated=cell.platform != engine.native)
        found = smoke.prove(client, subject, run_id=run, environment=engine.environment, note=note)
    with stages.timed("reference"):
        expected, other = reference(), anchor()
    with stages.timed("parity"):
        compared = comparison.checks(project, cell, found, reference=expected, other=other)
        compared = _marked(compared, subject.cell.execution)
    checks = (*audited.checks, *found.checks, *compared)
    return Verdict(
        cell=cell.id,
        backend=cell.backend,
        model=cell.model,
        vector_space=subject.cell.vector_space,
        precision=subject.cell.precision,
        dimension=subject.cell.dimension,
        passed=all(check.passed for check in checks),
        subject=Subject(
            name=cell.image,
            platform=cell.platform,
            digest=digest,
            config_digest=image.layout.config_digest,
            diff_ids=tuple(layer.diff_id for layer in image.layout.layers),
            compressed_bytes=image.layout.compressed_size,
            compressed_bytes_without_model=audited.bytes_without_model,
        ),
        inputs=Inputs(
            debian_lock=image.debian.digest,
            drift=image.drift,
            wheel_lock=image.wheels.lock,
            built_wheels=dict(image.wheels.built),
            model=image.model.digest,
            epoch=project.matrix.epoch,
            corpus=f"sha256:{corpus(project, cell).digest}",
            suite=suite(project),
        ),
        environment=Environment(
            host=host.current(),
            cpu=host.processor(),
            build_platform=image.build_platform,
            engine=dict(engine.described),
            builder=dict(image.builder),
            execution=subject.cell.execution,
            reference=f"{expected.backend} with {expected.model}",
            upstream=subject.upstream,
        ),
        components=audited.components,
        checks=checks,
        seconds={
            **stages.seconds,
            **{f"smoke.{name}": seconds for name, seconds in found.seconds.items()},
        },
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _references(project: Project, cell: Cell) -> list[str]:
    """Return what determines the vectors of this host that a cell's are held against."""
    here = host.current()
    anchor = anchors.of(project.matrix, cell, here)
    own = upstream.cell_of(project.matrix, cell, here) or cell
    backends = {own.backend, *([anchor.backend] if anchor else [])}
    folders = [project.images / backend for backend in sorted(backends)]
    return [
        *(wheel_lock.read(folder, here).digest for folder in folders),
        *(sha256_of(folder / "backend.py") for folder in folders),
    ]


def _expected(project: Project, cell: Cell, image: Image) -> AuditInputs:
    """Return what the image's files are held against."""
    service, backend = project.images / "service", project.images / cell.backend
    files = {
        **{f"service/{path}": digest for path, digest in tree_digests(service).items()},
        "backend/backend.py": sha256_of(backend / "backend.py"),
        **{f"model/{path}": digest for path, digest in image.model.files.items()},
    }
    return AuditInputs(
        platform=cell.platform,
        wheels=image.wheels.versions,
        prune=list_file.read(backend / "prune.txt"),
        files={f"{EQUIVEC}/{path}": digest for path, digest in files.items()},
        labels=image.labels,
        epoch=project.matrix.epoch,
        budget=project.matrix.backends[cell.backend].budget_mb,
        builder_paths=image.builder_paths,
        declared=locks.declared(
            project,
            cell,
            debian=image.debian,
            root=image.root,
            wheels=image.wheels,
            directory=image.model,
        ),
        search_paths=list_file.read_if_there(backend / "search-paths.txt"),
    )


def _subject(
    project: Project, cell: Cell, image: Image, audited: Audit, *, emulated: bool
) -> SmokeSubject:
    """Return what the container must be."""
    model = project.matrix.models[cell.model]
    facts = SmokeCell(
        id=cell.id,
        platform=cell.platform,
        emulated=emulated,
        backend=cell.backend,
        model=cell.model,
        dimension=model.dimension,
        normalize=model.normalize,
        inputs=model.inputs,
        vector_space=vector_space(model),
        precision=model.precision,
        wheels=tuple(
            SmokeWheel(
                name=wheel.name,
                version=wheel.version,
                modules=wheel.contents.names,
                libraries=image.wheels.promised.get(wheel.name, ()),
            )
            for wheel in image.wheels.wheels
        ),
        libraries=audited.libraries,
        refused={text.id: text.text for text in _refused(project, cell).texts},
        seconds=COMMAND_SECONDS["emulated" if emulated else "native"],
    )
    taken = corpus(project, cell).without(project.matrix.backends[cell.backend].refused_texts)
    embedded = taken.emulated() if emulated else taken
    return SmokeSubject(
        digest=image.layout.manifest_digest,
        cell=facts,
        corpus=replace(embedded, texts=(*embedded.texts, *known_answers.texts(model))),
        shell=shell(project, image.debian),
        records=project.records / cell.id,
        patience=EMULATED if emulated else NATIVE,
        upstream=None if image.upstream is None else image.upstream.manifest_digest,
    )


def _refused(project: Project, cell: Cell) -> Corpus:
    """Return the texts that the service must refuse to embed."""
    return corpus(project, cell).only(project.matrix.backends[cell.backend].refused_texts)


def _marked(checks: tuple[Check, ...], execution: str) -> tuple[Check, ...]:
    """Let each check say whether the container ran natively or emulated."""
    return tuple(replace(check, details=(execution, *check.details)) for check in checks)
