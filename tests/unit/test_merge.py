"""The merge of what machines proved, and what it refuses. Real signatures: tests/system."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import merge, publication, publishing
from builders import plan as plans
from builders import verdict as verdicts
from builders.attestation import files as attestation_files
from builders.attestation import test_result
from builders.attestation.statement import Attestation, Kind
from builders.errors import MergeError, PublicationError, SigningError
from builders.formats.layout import blob_path
from builders.merge import brought
from builders.outcome import rows
from builders.pipeline import Finished
from builders.plan import Cell
from builders.project import Project
from builders.report import reporter
from builders.selection import Selection
from builders.verdict import Verdict
from tests.unit import machines
from tests.unit.machines import AMD64, ARM64, machine
from tests.unit.test_outcome import DISTANCE, WIDE

NAME = "equivec/onnxruntime-fixture-768"
SELECTED = Selection(backends=("onnxruntime",), models=("fixture-768",))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return machines.project(tmp_path)


def cells(project: Project, *platforms: str) -> tuple[Cell, ...]:
    return tuple(machines.cell(project, platform) for platform in platforms or (AMD64, ARM64))


def merged(project: Project, wanted: Sequence[Cell], *directories: Path) -> Finished:
    with reporter([cell.id for cell in wanted], stream=io.StringIO(), environment={}) as told:
        finished = merge.merge(project, wanted, directories, told)
        return publishing.publish(project, finished, told)


def nothing_was_written(project: Project) -> None:
    assert not (project.root / "dist").exists()


def inputs(judged: Verdict, **changes: Any) -> Verdict:
    return judged.model_copy(update={"inputs": judged.inputs.model_copy(update=changes)})


def test_machines_become_one_publication_as_of_one_machine(
    project: Project, tmp_path: Path
) -> None:
    amd64 = machine(project, tmp_path / "1", AMD64)
    arm64 = machine(project, tmp_path / "2", ARM64)

    finished = merged(project, cells(project), amd64, arm64)

    assert not finished.failed
    single = tmp_path / "single"
    publication.publish(
        single, [_passed(project, amd64, AMD64), _passed(project, arm64, ARM64)], ()
    )
    assert publication.indexes(project.publication) == publication.indexes(single)
    for outcome in finished.outcomes:
        assert outcome.verdict is not None
        assert verdicts.read(project.verdicts / f"{outcome.cell.id}.json") == outcome.verdict
        assert (project.sboms / f"{outcome.cell.id}.cdx.json").is_file()
        stated = attestation_files.read(project.attestations, outcome.verdict.subject.digest)
        assert {each.statement.kind for each in stated} == set(Kind)
    (index,) = attestation_files.read(
        project.attestations, publication.indexes(project.publication)[NAME]
    )
    assert set(test_result.platforms_of(index.statement)) == {AMD64, ARM64}


def _passed(project: Project, machine: Path, platform: str) -> publication.PassedImage:
    mine = machines.cell(project, platform)
    told = verdicts.read(machine / "verdicts" / f"{mine.id}.json")
    return publication.PassedImage(
        name=mine.image,
        platform=platform,
        layout=machine / "images",
        digest=told.subject.digest,
    )


def test_artefacts_may_lie_anywhere_below_one_directory(project: Project, tmp_path: Path) -> None:
    for platform in (AMD64, ARM64):
        made = machine(project, tmp_path / "made" / platform, platform)
        shutil.copytree(made, tmp_path / "artefacts" / "x" / platform.replace("/", "-"))
    assert not merged(project, cells(project), tmp_path / "artefacts").failed


def test_an_image_may_come_from_where_it_was_built(project: Project, tmp_path: Path) -> None:
    made = machine(project, tmp_path / "1", AMD64)
    shutil.rmtree(made / "images")
    wanted = cells(project, AMD64)
    with pytest.raises(MergeError, match=r"the image sha256:.* is in none of the directories"):
        merged(project, wanted, made)
    nothing_was_written(project)

    assert not merged(project, wanted, made, tmp_path / "1" / "layout").failed


def test_only_what_is_expected_to_be_refused_may_be_absent(
    project: Project, tmp_path: Path
) -> None:
    made = machine(project, tmp_path / "1", AMD64)
    amd64, arm64 = cells(project)
    refused = replace(arm64, refused="holds Windows binaries")
    with pytest.raises(MergeError, match="arm64: no machine brought it: holds Windows binaries"):
        merged(project, (amd64, refused), made)

    finished = merged(project, (amd64, replace(refused, refusal_expected=True)), made)
    assert not finished.failed
    assert [outcome.refused for outcome in finished.outcomes] == ["holds Windows binaries", None]


def test_a_required_platform_that_is_absent_stops_it(project: Project, tmp_path: Path) -> None:
    made = machine(project, tmp_path / "1", AMD64)
    with pytest.raises(MergeError, match="onnxruntime-fixture-768-linux-arm64: no machine brought"):
        merged(project, cells(project), made)
    nothing_was_written(project)


def test_what_must_be_there_is_the_plan_not_what_was_brought(project: Project) -> None:
    planned = merge.planned(plans.plan(project.matrix, SELECTED, AMD64))
    assert {cell.platform for cell in planned.chosen} == {AMD64, ARM64}
    host = next(row for row in rows(planned, ()) if row.cell.endswith("darwin-arm64"))
    assert host.result == "absent"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"suite": "sha256:older"}, "judged by other tests: suite sha256:older, and sha256:"),
        ({"model": "sha256:other"}, "model: sha256:other, and sha256:"),
        ({"wheel_lock": "sha256:other"}, "lock of the wheels: sha256:other, and sha256:"),
        ({"debian_lock": "sha256:other"}, "lock of the Debian packages: sha256:other, and sha256:"),
        ({"epoch": 1}, "epoch: 1, and 1704067200 in this checkout"),
        ({"corpus": "sha256:other"}, "corpus: sha256:other"),
        ({"files": {"matrix.yaml": "0"}}, "made from another checkout: images/Dockerfile, .* more"),
    ],
)
def test_a_verdict_of_another_checkout_is_refused(
    project: Project, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    amd64 = machine(project, tmp_path / "1", AMD64)
    arm64 = machine(project, tmp_path / "2", ARM64, change=lambda judged: inputs(judged, **changes))
    with pytest.raises(MergeError, match=f"linux-arm64 from .*: {reason}"):
        merged(project, cells(project), amd64, arm64)
    nothing_was_written(project)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vector_space": "sha256:other"}, "vector space: sha256:other, and sha256:"),
        ({"precision": "float16"}, "precision: float16, and float32"),
        ({"dimension": 384}, "dimension: 384, and 768"),
        ({"passed": False, "checks": (WIDE, DISTANCE)}, "it did not pass: parity:distance"),
    ],
)
def test_a_verdict_that_does_not_fit_is_refused(
    project: Project, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    made = machine(
        project, tmp_path / "1", AMD64, change=lambda judged: judged.model_copy(update=change)
    )
    with pytest.raises(MergeError, match=reason):
        merged(project, cells(project, AMD64), made)
    nothing_was_written(project)


def test_a_verdict_on_another_cell_is_refused(project: Project, tmp_path: Path) -> None:
    """What is below verdicts/ is not signed, and may say anything."""
    made = machine(project, tmp_path / "1", AMD64)
    (told,) = (made / "verdicts").iterdir()
    told.write_text(told.read_text("utf-8").replace("-linux-amd64", "-linux-arm64"), "utf-8")
    with pytest.raises(MergeError, match=r"cell: \S+-amd64, and \S+-arm64 in this") as it:
        merged(project, cells(project, ARM64), made)
    assert "platform: linux/amd64, and linux/arm64 in this checkout" in it.value.problem
    nothing_was_written(project)


def test_a_drifted_image_is_merged_as_one_machine_publishes_it(
    project: Project, tmp_path: Path
) -> None:
    made = machine(
        project,
        tmp_path / "1",
        AMD64,
        change=lambda judged: inputs(judged, debian_lock="sha256:newer", drift=("libc6 1 -> 2",)),
    )
    assert not merged(project, cells(project, AMD64), made).failed


def test_all_that_is_wrong_is_told_at_once(project: Project, tmp_path: Path) -> None:
    made = machine(project, tmp_path / "1", AMD64, change=lambda judged: inputs(judged, epoch=1))
    with pytest.raises(MergeError) as caught:
        merged(project, cells(project), made)
    assert "epoch: 1" in caught.value.problem
    assert "linux-arm64: no machine brought it" in caught.value.problem


def test_machines_that_proved_different_images_are_refused(
    project: Project, tmp_path: Path
) -> None:
    one = machine(project, tmp_path / "1", AMD64)
    two = machine(project, tmp_path / "2", AMD64, content="other")
    with pytest.raises(MergeError, match="machines proved different images: sha256:"):
        merged(project, cells(project, AMD64), one, two)
    nothing_was_written(project)


def test_of_two_verdicts_on_an_image_a_native_one_counts(project: Project, tmp_path: Path) -> None:
    def native(judged: Verdict) -> Verdict:
        where = judged.environment.model_copy(update={"execution": "native"})
        return judged.model_copy(update={"environment": where})

    emulated = machine(project, tmp_path / "1", ARM64)
    other = machine(project, tmp_path / "2", ARM64, change=native)
    (outcome,) = merged(project, cells(project, ARM64), emulated, other).outcomes
    assert outcome.verdict is not None
    assert outcome.verdict.environment.execution == "native"
    # And what is stated is that one's.
    (stated,) = (
        each.statement
        for each in attestation_files.read(project.attestations, outcome.verdict.subject.digest)
        if each.statement.kind is Kind.TEST_RESULT
    )
    assert test_result.verdict_of(stated) == outcome.verdict


def test_what_is_not_selected_is_named(project: Project, tmp_path: Path) -> None:
    amd64 = machine(project, tmp_path / "1", AMD64)
    arm64 = machine(project, tmp_path / "2", ARM64)
    finished = merged(project, cells(project, AMD64), amd64, arm64)
    assert "brought, and not selected: onnxruntime-fixture-768-linux-arm64" in finished.remarks


def test_an_index_never_mixes_what_was_not_merged_together(
    project: Project, tmp_path: Path
) -> None:
    amd64 = machine(project, tmp_path / "1", AMD64)
    arm64 = machine(project, tmp_path / "2", ARM64)
    merged(project, cells(project), amd64, arm64)
    newer = machine(project, tmp_path / "3", AMD64, content="newer")
    merged(project, cells(project, AMD64), newer)
    index = json.loads(
        publication.document(project.publication, publication.indexes(project.publication)[NAME])
    )
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64"]


@pytest.mark.parametrize("kind", Kind)
def test_every_statement_must_be_there(project: Project, tmp_path: Path, kind: Kind) -> None:
    made = machine(project, tmp_path / "1", AMD64)
    (path,) = (made / "attestations").rglob(f"{kind.word}.*")
    path.unlink()
    with pytest.raises(SigningError, match=f"nothing of the kind {kind.word} is stated"):
        merged(project, cells(project, AMD64), made)
    nothing_was_written(project)


def test_what_nobody_trusted_signed_is_refused(project: Project, tmp_path: Path) -> None:
    made = machine(project, tmp_path / "1", AMD64)
    offered = brought.find([made])

    def check(attestation: Attestation, manifest: bytes) -> None:
        assert attestation.statement.digest == offered[0].digest
        assert manifest == blob_path(made / "images", offered[0].digest).read_bytes()
        raise SigningError("is not signed", where=attestation.statement.kind.word)

    with pytest.raises(SigningError, match="test-result: is not signed") as caught:
        merge._chosen(project, cells(project, AMD64), offered, brought.layouts([made]), check)
    assert caught.value.where == f"onnxruntime-fixture-768-linux-amd64 from {made}"


def test_a_verdict_on_another_image_is_refused(project: Project, tmp_path: Path) -> None:
    def other(judged: Verdict) -> Verdict:
        said = judged.subject.model_copy(update={"config_digest": f"sha256:{'0' * 64}"})
        return judged.model_copy(update={"subject": said})

    made = machine(project, tmp_path / "1", AMD64, change=other)
    with pytest.raises(MergeError, match="is not the image that its verdict describes"):
        merged(project, cells(project, AMD64), made)
    nothing_was_written(project)


def test_a_blob_that_was_altered_on_the_way_is_refused(project: Project, tmp_path: Path) -> None:
    made = machine(project, tmp_path / "1", AMD64)
    (digest,) = (each.digest for each in brought.find([made]))
    manifest = json.loads(blob_path(made / "images", digest).read_bytes())
    layer = blob_path(made / "images", manifest["layers"][0]["digest"])
    layer.write_bytes(layer.read_bytes()[:-1] + b"x")
    with pytest.raises(PublicationError, match="is damaged"):
        merged(project, cells(project, AMD64), made)
    nothing_was_written(project)


def test_a_manifest_that_was_altered_on_the_way_is_refused(
    project: Project, tmp_path: Path
) -> None:
    made = machine(project, tmp_path / "1", AMD64)
    (digest,) = (each.digest for each in brought.find([made]))
    path = blob_path(made / "images", digest)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(PublicationError, match="holds the bytes of"):
        merged(project, cells(project, AMD64), made)
    nothing_was_written(project)


def test_directories_without_verdicts_are_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MergeError, match="no machine's verdict is there"):
        merged(project, cells(project), tmp_path / "empty")
    with pytest.raises(MergeError, match="is no directory"):
        merged(project, cells(project), tmp_path / "missing")
