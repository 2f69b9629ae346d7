"""`release` in matrix.yaml, and what it makes of a selection."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import MatrixError, SelectionError
from builders.matrix import Matrix, load
from builders.matrix.release import ImagePlatform, Release
from builders.paths import ROOT
from builders.plan import Plan, plan
from builders.project import Project
from builders.release.wanted import Wanted, selection, wanted
from builders.selection import Selection
from builders.store import Store
from tests.unit.test_matrix import TEXT

REAL = load(ROOT / "matrix.yaml")
AMD64: ImagePlatform = "linux/amd64"
ARM64: ImagePlatform = "linux/arm64"


def read(path: Path, section: str) -> Matrix:
    file = path / "matrix.yaml"
    file.write_text(TEXT + section)
    return load(file)


def images(tmp_path: Path, chosen: Selection, matrix: Matrix = REAL) -> tuple[Wanted, ...]:
    project = Project(root=ROOT, matrix=matrix, store=Store(tmp_path))
    return wanted(project, planned(chosen, matrix))


def planned(chosen: Selection, matrix: Matrix = REAL) -> Plan:
    return plan(matrix, chosen, AMD64)


def with_policy(policy: Release) -> Matrix:
    return REAL.model_copy(update={"release": policy})


def test_without_a_policy_everything_is_asked_for(tmp_path: Path) -> None:
    policy = read(tmp_path, "").release

    assert policy.execution == "native"
    assert policy.platforms == (AMD64, ARM64)
    assert policy.tags == ("version", "minor", "major", "latest")


def test_a_policy_is_read(tmp_path: Path) -> None:
    section = "release: {execution: any, platforms: [linux/arm64], tags: [version], models: []}\n"
    text = section.replace(", models: []", ", models: [fixture-768]")

    policy = read(tmp_path, text).release

    assert (policy.execution, policy.platforms, policy.tags) == ("any", (ARM64,), ("version",))
    assert policy.models == ("fixture-768",)


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("release: {tags: [latest]}", "must have version"),
        ("release: {tags: [version, version]}", "more than once"),
        ("release: {tags: [versoin]}", "did you mean 'version'?"),
        ("release: {execution: emulated}", "must be 'native' or 'any'"),
        ("release: {platforms: [darwin/arm64]}", "must be 'linux/amd64' or 'linux/arm64'"),
        ("release: {platforms: []}", "must"),
        ("release: {models: [fixture-678]}", "did you mean 'fixture-768'?"),
        ("release: {backends: [onnx]}", "is not among backends"),
        ("release: {tag: [version]}", "did you mean 'tags'?"),
    ],
)
def test_a_wrong_policy_is_refused(tmp_path: Path, section: str, problem: str) -> None:
    with pytest.raises(MatrixError) as caught:
        read(tmp_path, f"{section}\n")
    assert problem in str(caught.value)


def test_a_policy_for_a_platform_that_is_not_there_is_refused(tmp_path: Path) -> None:
    text = TEXT.replace("  linux/arm64: {}\n", "").replace("linux/amd64, linux/arm64", AMD64)
    file = tmp_path / "matrix.yaml"

    file.write_text(f"{text}release: {{platforms: [linux/arm64]}}\n")

    with pytest.raises(MatrixError, match="is not among platforms"):
        load(file)
    file.write_text(text)
    assert AMD64 in load(file).release.platforms


def test_what_is_not_named_is_the_policys() -> None:
    policy = Release(models=("bge-base-en-v1.5",))

    assert selection(Selection(), policy).models == policy.models
    assert selection(Selection(models=("a",)), policy).models == ("a",)
    assert selection(Selection(backends=("b",)), policy).models == policy.models
    assert selection(Selection(all=True), policy).models == ()
    assert selection(Selection(only=("*",)), policy).models == ()


def test_an_image_is_wanted_for_every_platform_that_it_can_be_for(tmp_path: Path) -> None:
    (found,) = images(tmp_path, Selection(only=("onnxruntime-fixture-768-linux-amd64",)))

    assert found.name == "equivec/onnxruntime-fixture-768"
    assert found.required == (AMD64, ARM64)
    assert tuple(found.platforms) == (AMD64, ARM64)
    assert all(
        digest.startswith("sha256:") and len(digest) == 71
        for inputs in found.platforms.values()
        for digest in (inputs.debian_lock, inputs.wheel_lock, inputs.model)
    )


def test_a_fixture_is_refused(tmp_path: Path) -> None:
    for found in images(tmp_path, Selection()):
        assert found.refusals == ("fixture-768 is a fixture: its weights are made up",)


def test_a_platform_that_the_backend_is_not_for_is_not_required(tmp_path: Path) -> None:
    (found,) = images(tmp_path, Selection(backends=("gpt4all",), models=("fixture-768",)))

    assert found.required == (AMD64,)
    assert tuple(found.platforms) == (AMD64,)


def test_an_image_without_a_platform_that_is_released_is_refused(tmp_path: Path) -> None:
    policy = Release(platforms=(ARM64,))
    chosen = Selection(backends=("gpt4all",), models=("fixture-768",))

    (found,) = images(tmp_path, chosen, with_policy(policy))

    assert found.required == ()
    assert "gpt4all is for none of the platforms" in found.refusals[-1]


def test_a_licence_that_was_not_accepted_is_refused(tmp_path: Path) -> None:
    models = dict(REAL.models)
    models["fixture-768"] = models["fixture-768"].model_copy(
        update={"licence": "LicenseRef-Secret", "source": "file:weights"}
    )
    matrix = REAL.model_copy(update={"models": models})

    (found,) = images(tmp_path, Selection(backends=("onnxruntime",)), matrix)

    assert len(found.refusals) == 1
    assert "LicenseRef-Secret, which is not open" in found.refusals[0]


def test_a_selection_of_hosts_alone_has_no_image(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="no image is selected"):
        images(tmp_path, Selection(only=("onnxruntime-*-darwin-arm64",)))
