"""What a reference leads to, in a directory; registries: tests/system/test_verify.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import RegistryError, VerifyError
from builders.matrix import load
from builders.paths import ROOT
from builders.project import Project
from builders.store import Store
from builders.verification.published import Published
from builders.verification.reference import published
from tests.unit.published_images import NAME, Publication, publish


@pytest.fixture
def made(tmp_path: Path) -> Publication:
    return publish(tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(
        root=tmp_path / "checkout",
        matrix=load(ROOT / "matrix.yaml"),
        store=Store(tmp_path / "cache"),
    )


def of(project: Project, reference: str, name: str = "") -> Published:
    (found,) = published(project, reference, name, note=pytest.fail)
    return found


@pytest.mark.parametrize("name", ["", ":onnxruntime-tiny", f":{NAME}"])
def test_a_directory_leads_to_its_images(name: str, made: Publication, project: Project) -> None:
    found = of(project, f"{made.target.where}{name}")
    assert (found.name, found.digest, found.expected) == (NAME, made.index, NAME)
    assert found.target.attestations(NAME, made.index)
    assert not found.signed


def test_a_tag_leads_to_what_it_is_on(made: Publication, project: Project) -> None:
    made.target.put_tag(NAME, "v1.2.3", made.index)
    assert of(project, f"{made.target.where}:onnxruntime-tiny:v1.2.3").digest == made.index
    with pytest.raises(VerifyError, match="has no tag v2") as raised:
        of(project, f"{made.target.where}:onnxruntime-tiny:v2")
    assert raised.value.remedy == "there are: v1.2.3"


def test_a_digest_leads_to_itself(made: Publication, project: Project) -> None:
    digest = made.verdicts["linux/amd64"].subject.digest
    assert of(project, f"{made.target.where}:onnxruntime-tiny@{digest}").digest == digest


def test_another_name_can_be_expected(made: Publication, project: Project) -> None:
    assert of(project, made.target.where, "acme/other").expected == "acme/other"


def test_an_image_that_is_not_there_names_those_that_are(
    made: Publication, project: Project
) -> None:
    with pytest.raises(VerifyError, match="did you mean 'onnxruntime-tiny'"):
        of(project, f"{made.target.where}:onnxruntime-tny")


def test_an_empty_directory_holds_nothing(tmp_path: Path, project: Project) -> None:
    with pytest.raises(VerifyError, match="there is no image"):
        of(project, f"oci:{tmp_path}")


def test_what_is_no_reference_is_refused(project: Project) -> None:
    with pytest.raises(RegistryError, match="not "):
        of(project, "onnxruntime-tiny")
