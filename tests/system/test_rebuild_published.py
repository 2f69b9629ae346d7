"""A published image is built again from the inputs that its provenance records."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import engine, plan, project, publication, recorded, report, stages
from builders.attestation import files as attestation_files
from builders.attestation import provenance
from builders.attestation.statement import Attestation, Kind, Statement
from builders.engine import configuration
from builders.errors import RebuildError, SelectionError
from builders.once import Once
from builders.process import run
from builders.project import Project
from builders.publication import PassedImage
from builders.source import Source
from builders.stages import Options, Shared
from builders.store import CACHE_VARIABLE, Store, cache_directory
from tests.system import checkouts
from tests.system.checkouts import Checkout
from tests.system.test_rebuild import PRIVATE, SERVICE_ALONE, nothing_is_left
from tests.unit import attested

ARGV = (sys.executable, "-m", "builders", "rebuild")
NAME = "equivec/onnxruntime-fixture-768"
REFERENCE = "oci:dist/images:onnxruntime-fixture-768"
CODE = "images/service/embedding_service/terminal.py"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[Path]:
    """A cache that shares the user's inputs and the engine's programs, and nothing else."""
    own = tmp_path_factory.mktemp("cache")
    (own / "store").symlink_to(Store(cache_directory()).cache / "store")
    programs = configuration.places(own).packages
    programs.parent.mkdir()
    programs.symlink_to(packages)
    try:
        yield own
    finally:
        engine.stop(own)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A checkout from which an image was published, and the image.

    Attributes:
        revision: That the image was made from.
    """

    checkout: Checkout
    revision: str
    digest: str

    def rebuilt(self, *words: str, status: int) -> str:
        with self.checkout.running(REFERENCE, *words, argv=ARGV) as running:
            assert running.wait() == status, running.output
        return running.output

    def change(self) -> None:
        """Change a file that the image was made from."""
        file = self.checkout.root / CODE
        file.write_text(f"{file.read_text('utf-8')}\n# Another one.\n", "utf-8")


@pytest.fixture
def published(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """Build a small image, and publish it with its provenance."""
    checkout = checkouts.copy(tmp_path / "checkout", cache, PRIVATE)
    (checkout.root / "images" / "Dockerfile").write_text(SERVICE_ALONE)
    revision = committed(checkout.root)
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    monkeypatch.setenv(engine.ENGINE_VARIABLE, engine.PRIVATE)
    digest = publish(project.load(checkout.root), revision)
    return Published(checkout=checkout, revision=revision, digest=digest)


def committed(root: Path) -> str:
    """Make a repository of a checkout, and return its revision."""
    git = ("git", "-C", root, "-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "All")):
        run((*git, *words), timeout=60)
    return run((*git, "rev-parse", "HEAD"), timeout=60).stdout.strip()


def publish(loaded: Project, revision: str) -> str:
    """Build the image of a cell, publish it unproved, and state what it was made from."""
    cell = plan.cell(loaded.matrix, "onnxruntime", "fixture-768", "linux/amd64")
    with report.reporter([]) as reporter:
        used = stages.find_engine(loaded, reporter)
        shared = Shared(
            engine=used,
            run="",
            options=Options(jobs=1, rebuild=False, reprove=False),
            debian=stages.fetch(loaded, [cell], used.native, reporter),
            bases=Once(),
            references=Once(),
        )
        image = stages.built(loaded, cell, shared, reporter)
    digest = image.layout.manifest_digest
    verdict = attested.verdict(digest=digest, platform=cell.platform)
    judged = {
        "backend": cell.backend,
        "model": cell.model,
        "source": Source(revision=revision, clean=True),
        "inputs": verdict.inputs.model_copy(
            update={"files": recorded.files(loaded, cell, used.native, compiled=False)}
        ),
        "environment": verdict.environment.model_copy(
            update={"builder": dict(image.builder), "build_platform": image.build_platform}
        ),
        "components": tuple(each for each in verdict.components if not each.source),
    }
    statement = Statement(
        kind=Kind.PROVENANCE,
        subject_name=NAME,
        digest=digest,
        predicate=provenance.predicate(verdict.model_copy(update=judged)),
    )
    passed = PassedImage(
        name=NAME, platform=cell.platform, layout=image.layout.directory, digest=digest
    )
    publication.publish(loaded.publication, [passed], ())
    attestation_files.write(
        loaded.attestations, Attestation(statement=statement, envelope=None, form="statement")
    )
    return digest


def test_a_published_image_is_built_again_bit_for_bit(published: Published) -> None:
    output = published.rebuilt(status=0)
    assert "this checkout has the recorded inputs" in output
    assert f"passed  identical {published.digest}, 0 differing bytes" in output
    nothing_is_left(published.checkout)


def test_the_inputs_are_those_of_the_recorded_revision(published: Published) -> None:
    published.change()
    output = published.rebuilt("--platform", "linux/amd64", status=0)
    assert f"the inputs are those of revision {published.revision}" in output
    assert f"identical {published.digest}" in output


def test_other_inputs_are_named_with_what_they_change(published: Published) -> None:
    published.change()
    shutil.rmtree(published.checkout.root / ".git")
    output = published.rebuilt(status=RebuildError.exit_code)
    file = re.escape(f"/{CODE.replace('images/', 'opt/equivec/', 1)}")
    assert re.search(rf"layer 2 \(COPY /out/ / # buildkit\): {file}: content: ", output), output
    assert f"made from another {CODE} than is here" in output
    assert f"instead of {published.digest}" in output


def test_another_platform_was_not_published(published: Published) -> None:
    output = published.rebuilt("--platform", "linux/arm64", status=SelectionError.exit_code)
    assert "is for none of linux/arm64" in output
