"""Which inputs a published image is built from again. The whole: test_rebuild_published.py."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import rebuild, recorded
from builders.attestation.provenance import provenance_of
from builders.attestation.statement import Attestation, Kind
from builders.difference import Difference, Finding, What
from builders.engine import Engine, Versions
from builders.errors import RebuildError, SelectionError, SigningError
from builders.formats.layout import Layout
from builders.matrix import load
from builders.paths import ROOT
from builders.plan import Cell, cell
from builders.project import Project
from builders.rebuild import Published
from builders.report import reporter
from builders.store import Store
from builders.verdict import Verdict
from builders.verification import repetition
from builders.verification.repetition import Recorded
from builders.verification.stated import Trusted
from tests.unit import attested
from tests.unit.published_images import publish
from tests.unit.test_verification import NOBODY, refuse

PLATFORM = "linux/amd64"
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    matrix = load(ROOT / "matrix.yaml")
    return Project(root=ROOT, matrix=matrix, store=Store(tmp_path / "cache"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = publish(tmp_path)
    return made.published.pulled("", made.verdicts[PLATFORM].subject.digest, tmp_path / "pulled")


def of(project: Project, layout: Layout, **changes: Any) -> Recorded:
    """Return what would be recorded of an image of the checkout."""
    verdict = attested.verdict(platform=PLATFORM)
    files = recorded.files(project, of_cell(project), PLATFORM, compiled=False)
    judged: dict[str, Any] = {
        "backend": "onnxruntime",
        "model": "fixture-768",
        "components": (),
        "inputs": verdict.inputs.model_copy(
            update={"files": {**files, **changes.pop("files", {})}}
        ),
        "environment": verdict.environment.model_copy(update={"build_platform": PLATFORM}),
        **changes,
    }
    changed: Verdict = verdict.model_copy(update=judged)
    return Recorded(
        layout=layout, provenance=provenance_of(attested.statement(changed, Kind.PROVENANCE))
    )


def of_cell(project: Project) -> Cell:
    return cell(project.matrix, "onnxruntime", "fixture-768", PLATFORM)


def placed(project: Project, image: Recorded) -> repetition._Place:
    with contextlib.ExitStack() as stack, reporter([]) as shown:
        return repetition._place(project, image, {}, stack, shown)


def test_this_checkout_is_taken_where_it_has_every_input(project: Project, layout: Layout) -> None:
    image = of(project, layout)
    place = placed(project, image)
    assert (place.project, place.cell, place.others) == (project, of_cell(project), ())
    assert image.name.id == "onnxruntime-fixture-768-linux-amd64"
    assert image.builder.items() >= {"buildkit": "0.1", "platform": PLATFORM}.items()


def test_inputs_that_are_others_here_are_named(project: Project, layout: Layout) -> None:
    changed = {"images/onnxruntime/backend.py": "0" * 64, "images/base/gone.txt": "0" * 64}
    place = placed(project, of(project, layout, files=changed))
    assert place.project == project
    assert place.others == ("images/base/gone.txt", "images/onnxruntime/backend.py")


@pytest.mark.parametrize("revision", ["HEAD", "--output=/dev/null", "--remote=ext::sh"])
def test_a_revision_that_is_none_is_no_argument_of_git(revision: str, project: Project) -> None:
    """Whoever writes a provenance could have Git write files, or run programs."""
    with contextlib.ExitStack() as stack:
        assert repetition._archived(project, revision, stack) is None


def test_a_cell_that_no_checkout_has_is_told(project: Project, layout: Layout) -> None:
    with pytest.raises(RebuildError, match="no such backend, model or platform"):
        placed(project, of(project, layout, model="gone"))


def test_provenance_is_read_of_the_platforms_that_are_asked_for(tmp_path: Path) -> None:
    made = publish(tmp_path)
    one = repetition.gather(made.published, NOBODY, ["linux/arm64"], tmp_path / "one")
    assert [image.layout.platform for image in one] == ["linux/arm64"]
    both = repetition.gather(made.published, NOBODY, [], tmp_path / "both")
    assert [image.name.platform for image in both] == ["linux/amd64", "linux/arm64"]
    with pytest.raises(SelectionError, match="for none of darwin/arm64"):
        repetition.gather(made.published, NOBODY, ["darwin/arm64"], tmp_path / "none")


def test_provenance_by_others_does_not_count(tmp_path: Path) -> None:
    made = publish(tmp_path)
    someone = Trusted(who=("the key a.pub",), verify=refuse, signature=refuse)
    with pytest.raises(RebuildError, match="no provenance that counts: signed by somebody else"):
        repetition.gather(made.published, someone, [], tmp_path / "none")

    def verify(attestation: Attestation, _: bytes) -> str:
        if attestation.statement.digest != made.verdicts["linux/arm64"].subject.digest:
            raise SigningError("another platform's")
        return "the key a.pub"

    half = replace(someone, verify=verify)
    assert repetition.gather(made.published, half, ["linux/arm64"], tmp_path / "half")


ENGINE = Engine(
    kind="private",
    native=PLATFORM,
    host="unix:///nowhere",
    environment={},
    platforms=(PLATFORM,),
    versions=Versions(docker="", buildx="0.2", buildkit="0.1", containerd="", runc="", qemu=""),
)
DIFFERENT = Difference(
    kept=OLD,
    rebuilt=NEW,
    findings=(Finding(place="layer 0", path="", what=What.COMPRESSION),),
    differing_bytes=1,
)


def like(
    published: Published, layout: Layout, project: Project, difference: Difference = DIFFERENT
) -> str:
    return rebuild._like_published(of_cell(project), published, layout, difference, ENGINE)


def test_another_builder_may_compress_otherwise(project: Project, layout: Layout) -> None:
    published = Published(
        layout=layout, builder={"platform": "linux/arm64", "buildkit": "0.1"}, others=()
    )
    text = like(published, layout, project)
    assert text.startswith(f"the same configuration and layers {layout.config_digest}")
    assert "platform: linux/arm64 then, linux/amd64 here; buildx: none then, 0.2 here" in text


def test_the_same_builder_may_not(project: Project, layout: Layout) -> None:
    builder = {"platform": PLATFORM, "buildkit": "0.1", "buildx": "0.2"}
    with pytest.raises(RebuildError, match="compression"):
        like(Published(layout=layout, builder=builder, others=()), layout, project)


def test_whatever_may_be_why_is_told(project: Project, layout: Layout) -> None:
    other = replace(layout, config_digest=NEW)
    published = Published(layout=layout, builder={"platform": PLATFORM}, others=("matrix.yaml",))
    with pytest.raises(RebuildError) as raised:
        like(published, other, project)
    assert "buildkit: none then, 0.1 here" in raised.value.problem
    assert "made from another matrix.yaml than is here" in raised.value.problem
    assert "recorded revision" in raised.value.remedy
