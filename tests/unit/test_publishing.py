"""What is published and stated at the end of the main job. The rest of it: tests/system."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from builders import matrix, publication, publishing
from builders import plan as plans
from builders.attestation import files, test_result
from builders.errors import PreflightError, PublicationError, RegistryError
from builders.formats import layout
from builders.outcome import Outcome
from builders.pipeline import Finished
from builders.plan import Cell
from builders.project import Project
from builders.registry import publish as registry_publish
from builders.report import Reporter, reporter
from builders.store import Store
from tests.unit import attested
from tests.unit.images import Image, file, tar

PLATFORMS = ("linux/amd64", "linux/arm64")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    read = matrix.load(Path(__file__).with_name("matrix.yaml"))
    return Project(root=tmp_path, matrix=read, store=Store(tmp_path / "cache"))


@pytest.fixture
def told() -> Iterator[Reporter]:
    with reporter([], stream=io.StringIO(), environment={}) as made:
        yield made


def cell_of(project: Project, platform: str) -> Cell:
    return plans.cell(project.matrix, "onnxruntime", "fixture-768", platform)


def passed(project: Project, platform: str) -> Outcome:
    """Return the outcome of a cell whose image passed."""
    content = tar([file("a", platform.encode())])
    directory = project.root / platform.replace("/", "-")
    made = layout.read(Image(layers=[content]).write(directory))
    judged = attested.verdict(digest=made.manifest_digest, platform=platform)
    return Outcome(cell=cell_of(project, platform), layout=made, verdict=judged)


def finished(project: Project, *outcomes: Outcome) -> Finished:
    return Finished(outcomes=outcomes, engine=None, notary=attested.unsigned(project))


def published(project: Project, platform: str) -> str | None:
    name = cell_of(project, platform).image
    return publication.published_digest(project.publication, name, platform)


def index_of(project: Project) -> str:
    """Return the digest of the one index that is published."""
    return publication.publish(project.publication, [], [])[cell_of(project, PLATFORMS[0]).image]


def test_what_is_published_must_be_what_was_tested(
    project: Project, told: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = passed(project, PLATFORMS[0])
    assert outcome.verdict is not None
    publishing.publish(project, finished(project, outcome), told)
    assert published(project, PLATFORMS[0]) == outcome.verdict.subject.digest

    failed = replace(outcome, error=PreflightError("no"))
    publishing.publish(project, finished(project, failed), told)
    assert published(project, PLATFORMS[0]) is None

    monkeypatch.setattr(publication, "published_digest", lambda *_: "sha256:another")
    with pytest.raises(PublicationError, match=r"sha256:another is published, .* was tested"):
        publishing.publish(project, finished(project, outcome), told)


def test_that_nothing_is_signed_is_said_once_with_the_reason(
    project: Project, told: Reporter
) -> None:
    outcomes = [passed(project, platform) for platform in PLATFORMS]
    done = publishing.publish(project, finished(project, *outcomes), told)
    assert done.remarks == ("unsigned: nobody is named",)


def test_an_index_has_the_test_result_of_its_platforms(project: Project, told: Reporter) -> None:
    outcomes = [passed(project, platform) for platform in PLATFORMS]
    publishing.publish(project, finished(project, *outcomes), told)

    (stated,) = files.read(project.attestations, index_of(project))

    assert test_result.platforms_of(stated.statement) == {
        each.cell.platform: each.verdict.subject.digest for each in outcomes if each.verdict
    }


def test_what_an_earlier_run_published_is_taken_from_what_it_stated(
    project: Project, told: Reporter
) -> None:
    first, second = (passed(project, platform) for platform in PLATFORMS)
    notary = attested.unsigned(project)
    for path in ("base", "service", "onnxruntime", "models"):
        (project.images / path).mkdir(parents=True)
    for path in ("matrix.yaml", "images/Dockerfile"):
        (project.root / path).write_text(path)
    assert first.verdict is not None
    assert first.layout is not None
    notary.image(first.verdict, first.layout)
    publishing.publish(project, finished(project, first), told)

    done = publishing.publish(project, finished(project, second), told)

    assert done.remarks == ("unsigned: nobody is named",)
    (stated,) = files.read(project.attestations, index_of(project))
    assert set(test_result.platforms_of(stated.statement)) == set(PLATFORMS)


def test_an_index_with_an_image_of_which_nothing_is_stated_has_none(
    project: Project, told: Reporter
) -> None:
    first, second = (passed(project, platform) for platform in PLATFORMS)
    publishing.publish(project, finished(project, first), told)

    done = publishing.publish(project, finished(project, second), told)

    assert first.verdict is not None
    digest = first.verdict.subject.digest
    assert done.remarks[0] == (
        f"no test result of the index of equivec/onnxruntime-fixture-768: {digest}:"
        " nothing is stated of it"
    )
    assert files.read(project.attestations, index_of(project)) == ()


def test_registries_get_what_changed_after_the_directory(
    project: Project, told: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = ("oci:dist/images", "docker://ghcr.io/acme")
    project = replace(project, matrix=project.matrix.model_copy(update={"publication": places}))
    outcome = passed(project, PLATFORMS[0])
    name = outcome.cell.image
    spread: list[tuple[str, ...]] = []

    def refuse(_: Project, names: Sequence[str], **how: object) -> None:
        spread.append(tuple(names))
        assert how["engine"] is None
        assert published(project, PLATFORMS[0]) is not None
        raise RegistryError("is down")

    monkeypatch.setattr(registry_publish, "publish", refuse)
    with pytest.raises(RegistryError, match="is down"):
        publishing.publish(project, finished(project, outcome), told)
    assert spread == [(name,)]
    assert outcome.verdict is not None
    assert published(project, PLATFORMS[0]) == outcome.verdict.subject.digest

    # Of what has no platform left, nothing can be brought anywhere.
    publishing.publish(
        project, finished(project, replace(outcome, error=PreflightError("no"))), told
    )
    assert spread == [(name,)]
