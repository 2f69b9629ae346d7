"""What machines bring to a merge: small images of this very checkout, with all that is stated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builders import matrix, publication
from builders import plan as plans
from builders import verdict as verdicts
from builders.attestation import files as attestation_files
from builders.attestation.statement import Attestation, Kind, Statement
from builders.formats import layout
from builders.formats.layout import Layout
from builders.matrix.trust import Trust
from builders.merge import checkout
from builders.paths import ROOT
from builders.plan import Cell
from builders.project import Project
from builders.publication import PassedImage
from builders.store import Store
from builders.verdict import Verdict
from tests.unit import attested
from tests.unit.images import Image, file, tar

AMD64, ARM64 = "linux/amd64", "linux/arm64"

Change = Callable[[Verdict], Verdict]
Sign = Callable[[Statement, bytes], Attestation]


def project(root: Path, name: str = "checkout") -> Project:
    """Return a checkout that has this one's files, and a `dist/` and a cache of its own."""
    place = root / name
    (place / "tests").mkdir(parents=True)
    for path in ("builders", "images", "matrix.yaml", "tests/corpus", "tests/smoke"):
        (place / path).symlink_to(ROOT / path)
    # Whoever this checkout trusts: what is said here, a test says.
    read = matrix.load(ROOT / "matrix.yaml").model_copy(update={"trust": Trust()})
    return Project(root=place, matrix=read, store=Store(root / "cache"))


def cell(project: Project, platform: str, backend: str = "onnxruntime") -> Cell:
    return plans.cell(project.matrix, backend, "fixture-768", platform)


def unsigned(statement: Statement, _: bytes) -> Attestation:
    return Attestation(statement=statement, envelope=None, form="statement")


def image(place: Path, platform: str, content: str = "") -> Layout:
    """Write an image of a platform."""
    system, _, architecture = platform.partition("/")
    made = Image(
        layers=[tar([file("a", platform + content)])],
        config={"os": system, "architecture": architecture},
    )
    return layout.read(made.write(place))


def verdict(project: Project, platform: str, found: Layout) -> Verdict:
    """Return the verdict on an image that a machine makes which works from this checkout."""
    mine = cell(project, platform)
    judged = attested.verdict(digest=found.manifest_digest, platform=platform)
    judged = judged.model_copy(
        update={"cell": mine.id, "backend": mine.backend, "model": mine.model}
    )
    wanted = checkout.wanted(project, mine, judged)
    said = {
        "name": mine.image,
        "config_digest": found.config_digest,
        "diff_ids": tuple(layer.diff_id for layer in found.layers),
    }
    inputs = {
        name: getattr(wanted, name)
        for name in ("suite", "corpus", "model", "wheel_lock", "debian_lock", "epoch", "files")
    }
    return judged.model_copy(
        update={
            "vector_space": wanted.vector_space,
            "precision": wanted.precision,
            "dimension": wanted.dimension,
            "subject": judged.subject.model_copy(update=said),
            "inputs": judged.inputs.model_copy(update=inputs),
        }
    )


def machine(
    project: Project,
    place: Path,
    platform: str,
    *,
    change: Change = lambda judged: judged,
    sign: Sign = unsigned,
    content: str = "",
) -> Path:
    """Write what a machine has proved for a platform, as it writes `dist/`; return where."""
    mine = cell(project, platform)
    found = image(place / "layout", platform, content)
    judged = change(verdict(project, platform, found))
    directory = place / "dist"
    passed = PassedImage(
        name=mine.image,
        platform=platform,
        layout=found.directory,
        digest=found.manifest_digest,
    )
    publication.publish(directory / "images", [passed], ())
    verdicts.write(judged, directory / "verdicts")
    manifest = layout.blob_path(found.directory, found.manifest_digest).read_bytes()
    for kind in Kind:
        attestation = sign(attested.statement(judged, kind), manifest)
        attestation_files.write(directory / "attestations", attestation)
    return directory
