"""The notary: what is written of an image and an index. Signatures: tests/system."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from builders import matrix
from builders import verdict as verdicts
from builders.attestation import files, provenance, test_result
from builders.attestation.notary import Notary
from builders.attestation.statement import Kind
from builders.errors import SigningError
from builders.files import canonical_json
from builders.formats import layout as layouts
from builders.formats.layout import Layout, blob_path
from builders.project import Project
from builders.source import Source
from builders.store import Store
from builders.verdict import Verdict
from tests.unit import attested
from tests.unit.images import Image, file, tar


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout with the least that images are made from."""
    root = tmp_path / "checkout"
    for path in ("base", "service", "onnxruntime", "models"):
        (root / "images" / path).mkdir(parents=True)
    for path in ("matrix.yaml", "images/Dockerfile", "images/onnxruntime/backend.py"):
        (root / path).write_text(path)
    read = matrix.load(Path(__file__).with_name("matrix.yaml"))
    return Project(root=root, matrix=read, store=Store(tmp_path / "cache"))


@pytest.fixture
def notary(project: Project) -> Notary:
    return attested.unsigned(project)


@pytest.fixture
def image(tmp_path: Path) -> Layout:
    return layouts.read(Image(layers=[tar([file("a", b"x")])]).write(tmp_path / "layout"))


def on(image: Layout) -> Verdict:
    """Return an earlier run's verdict on an image, of another revision and other files."""
    judged = attested.verdict(digest=image.manifest_digest)
    return judged.model_copy(update={"source": Source()})


def test_what_was_found_of_an_image_is_stated_three_times(notary: Notary, image: Layout) -> None:
    written = notary.image(on(image), image)

    stated = {
        each.statement.kind: each
        for each in files.read(notary.project.attestations, image.manifest_digest)
    }
    assert set(stated) == set(Kind)
    assert all(each.form == "statement" for each in stated.values())
    assert test_result.verdict_of(stated[Kind.TEST_RESULT].statement) == written
    found = provenance.provenance_of(stated[Kind.PROVENANCE].statement)
    assert dict(found.files) == written.inputs.files
    sbom = notary.project.sboms / f"{written.cell}.cdx.json"
    assert stated[Kind.SBOM].statement.predicate == json.loads(sbom.read_bytes())


def test_the_verdict_is_written_with_this_checkout_s_revision_and_files(
    notary: Notary, image: Layout
) -> None:
    written = notary.image(on(image), image)

    assert written.source == attested.SOURCE
    assert set(written.inputs.files) == {
        "matrix.yaml",
        "images/Dockerfile",
        "images/onnxruntime/backend.py",
    }
    assert verdicts.read(notary.project.verdicts / f"{written.cell}.json") == written


def test_what_did_not_change_is_written_once(notary: Notary, image: Layout) -> None:
    def written() -> dict[Path, int]:
        notary.image(on(image), image)
        return {path: path.stat().st_ino for path in notary.project.attestations.rglob("*.json")}

    assert written() == written()


def test_a_verdict_on_another_image_is_not_stated(notary: Notary, image: Layout) -> None:
    with pytest.raises(SigningError, match="a statement about"):
        notary.image(attested.verdict(), image)
    assert files.read(notary.project.attestations, attested.verdict().subject.digest) == ()


def index_of(*digests: str) -> bytes:
    described = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1}
    manifests = [{**described, "digest": digest} for digest in digests]
    return canonical_json({"schemaVersion": 2, "manifests": manifests})


def test_an_index_has_a_test_result_of_its_own(notary: Notary) -> None:
    judged = {
        digest: attested.verdict(digest=digest, platform=platform)
        for digest, platform in (
            (attested.sha("a"), "linux/amd64"),
            (attested.sha("b"), "linux/arm64"),
        )
    }
    index = index_of(*judged)

    notary.index("equivec/a-b", index, judged)

    digest = f"sha256:{hashlib.sha256(index).hexdigest()}"
    (stated,) = files.read(notary.project.attestations, digest)
    assert stated.statement.subject_name == "equivec/a-b"
    assert test_result.platforms_of(stated.statement) == {
        "linux/amd64": attested.sha("a"),
        "linux/arm64": attested.sha("b"),
    }


def test_an_index_with_an_image_that_nobody_judged_has_none(notary: Notary) -> None:
    digest = attested.sha("a")
    index = index_of(digest, attested.sha("b"))
    with pytest.raises(SigningError, match=f"no verdict on {attested.sha('b')}"):
        notary.index("equivec/a-b", index, {digest: attested.verdict(digest=digest)})


def test_what_an_earlier_run_stated_is_believed(notary: Notary, image: Layout) -> None:
    manifest = blob_path(image.directory, image.manifest_digest).read_bytes()
    with pytest.raises(SigningError, match="nothing is stated of it"):
        notary.believed(manifest)

    written = notary.image(on(image), image)

    assert notary.believed(manifest) == written
