"""What is stated of an image, signed by the real cosign."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builders import matrix, tools
from builders.attestation import files, test_result
from builders.attestation import statement as statements
from builders.attestation.notary import KEPT, Notary
from builders.attestation.statement import Attestation, Kind
from builders.errors import SigningError
from builders.files import canonical_json
from builders.formats import layout as layouts
from builders.formats.layout import Layout, blob_path
from builders.paths import ROOT
from builders.process import run
from builders.project import Project
from builders.signing import Cosign, Signer, Trust, keys, verify
from builders.signing.cosign import cosign as probed
from builders.store import Store, cache_directory
from tests.unit import attested
from tests.unit.images import Image, file, tar

PASSWORD = "correct horse"  # noqa: S105 (of keys that the tests make)
TRUST = "\ntrust: {keys: [cosign.pub]}\n"
POSITIONS = 40
"""At how many places of an envelope a byte is changed."""


@pytest.fixture(scope="module")
def cosign() -> Cosign:
    return probed(tools.find("cosign", cache_directory(), note=print))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user of the test's own, with a key."""
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "COSIGN_PASSWORD": PASSWORD,
        "EQUIVEC_SIGNING_KEY": str(tmp_path / "user" / "cosign.key"),
    }


@pytest.fixture
def project(tmp_path: Path, cosign: Cosign, environment: Mapping[str, str]) -> Project:
    """A checkout that trusts the user's key, with the least that images are made from."""
    root = tmp_path / "checkout"
    for path in ("base", "service", "onnxruntime", "models"):
        (root / "images" / path).mkdir(parents=True)
    (root / "images" / "Dockerfile").write_text("FROM scratch\n")
    (root / "matrix.yaml").write_text((ROOT / "matrix.yaml").read_text("utf-8") + TRUST)
    keys.make(
        cosign,
        private=Path(environment["EQUIVEC_SIGNING_KEY"]),
        public=root / "cosign.pub",
        checkout=root,
        environment=environment,
    )
    return Project(
        root=root, matrix=matrix.load(root / "matrix.yaml"), store=Store(tmp_path / "cache")
    )


@pytest.fixture
def notary(project: Project, environment: Mapping[str, str]) -> Notary:
    elsewhere = replace(project, store=Store(cache_directory()))  # where cosign is
    signer = Signer.of(elsewhere, environment, note=pytest.fail)
    return Notary(project=project, source=attested.SOURCE, signer=signer)


@pytest.fixture
def image(tmp_path: Path) -> Layout:
    return layouts.read(Image(layers=[tar([file("a", b"x")])]).write(tmp_path / "layout"))


def manifest(image: Layout) -> bytes:
    return blob_path(image.directory, image.manifest_digest).read_bytes()


def stated(notary: Notary, image: Layout) -> dict[Kind, Attestation]:
    """State what was found of an image; return what was written."""
    notary.image(attested.verdict(digest=image.manifest_digest), image)
    found = files.read(notary.project.attestations, image.manifest_digest)
    return {each.statement.kind: each for each in found}


def test_all_that_is_stated_is_signed(notary: Notary, image: Layout, cosign: Cosign) -> None:
    written = stated(notary, image)

    assert set(written) == set(Kind)
    for attestation in written.values():
        assert verify(attestation, manifest(image), Trust.of(notary.project), cosign) == (
            "the key cosign.pub"
        )


def test_what_did_not_change_keeps_its_signature(notary: Notary, image: Layout) -> None:
    first = stated(notary, image)
    for path in notary.project.attestations.rglob("*.json"):
        path.unlink()

    assert stated(notary, image) == first
    assert len(list((notary.project.store.cache / "derived" / KEPT).iterdir())) == len(Kind)


def test_another_revision_is_stated_and_signed_anew(notary: Notary, image: Layout) -> None:
    first = stated(notary, image)
    source = attested.SOURCE.model_copy(update={"clean": False})

    second = stated(replace(notary, source=source), image)

    assert second[Kind.PROVENANCE] != first[Kind.PROVENANCE]
    assert second[Kind.SBOM] == first[Kind.SBOM]
    assert not test_result.verdict_of(second[Kind.TEST_RESULT].statement).source.clean


def test_a_byte_changed_anywhere_is_refused(notary: Notary, image: Layout, cosign: Cosign) -> None:
    attestation = stated(notary, image)[Kind.TEST_RESULT]
    assert attestation.envelope is not None
    document = json.loads(attestation.envelope)
    payload = base64.b64decode(document["payload"])
    trust, about = Trust.of(notary.project), manifest(image)
    for position in range(0, len(payload), max(1, len(payload) // POSITIONS)):
        changed = bytearray(payload)
        changed[position] ^= 1
        content = canonical_json({**document, "payload": base64.b64encode(bytes(changed)).decode()})
        with pytest.raises(SigningError):
            verify(statements.attestation(content, "dsse"), about, trust, cosign)


def test_a_statement_is_not_replayed_on_another_image(
    notary: Notary, image: Layout, cosign: Cosign, tmp_path: Path
) -> None:
    other = layouts.read(Image(layers=[tar([file("a", b"other")])]).write(tmp_path / "other"))
    written = stated(notary, image)
    for attestation in written.values():
        with pytest.raises(SigningError, match="is not about"):
            verify(attestation, manifest(other), Trust.of(notary.project), cosign)
    moved = files.place(notary.project.attestations, other.manifest_digest)
    files.place(notary.project.attestations, image.manifest_digest).rename(moved)
    with pytest.raises(SigningError, match="test-result is about"):
        notary.believed(manifest(other))


def test_an_index_s_signature_rests_on_nothing_unsigned(
    notary: Notary, project: Project, image: Layout
) -> None:
    believed = stated(notary, image)
    assert notary.believed(manifest(image)).subject.digest == image.manifest_digest

    for attestation in believed.values():
        statement = replace(attestation.statement, subject_name="anybody")
        folder = files.place(project.attestations, image.manifest_digest)
        (folder / f"{statement.kind.word}.dsse.json").unlink()
        files.write(
            project.attestations, Attestation(statement=statement, envelope=None, form="statement")
        )

    with pytest.raises(SigningError, match="is not signed"):
        notary.believed(manifest(image))


def test_an_index_is_signed(notary: Notary, image: Layout, cosign: Cosign) -> None:
    judged = attested.verdict(digest=image.manifest_digest)
    described = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": image.manifest_digest,
        "size": len(manifest(image)),
    }
    index = canonical_json({"schemaVersion": 2, "manifests": [described]})

    path = notary.index("equivec/a-b", index, {image.manifest_digest: judged})

    attestation = statements.attestation(path.read_bytes(), "dsse")
    assert attestation.statement.digest == f"sha256:{hashlib.sha256(index).hexdigest()}"
    verify(attestation, index, Trust.of(notary.project), cosign)


def test_the_documented_command_verifies_one(
    notary: Notary, image: Layout, cosign: Cosign, environment: dict[str, str]
) -> None:
    stated(notary, image)
    root, name = notary.project.root, image.manifest_digest.removeprefix("sha256:")
    blob = root / "dist" / "images" / "blobs" / "sha256" / name
    blob.parent.mkdir(parents=True)
    blob.write_bytes(manifest(image))
    page = (ROOT / "docs" / "attestations.md").read_text("utf-8")
    (shown,) = re.findall(r"^cosign verify-blob-attestation (?:.*\\\n)+.*$", page, re.MULTILINE)

    words = shlex.split(shown.replace("<hex>", name).replace("\\\n", " "))
    version = ("--new-bundle-format=false",) if cosign.has_bundles else ()
    completed = run([cosign.program, *words[1:], *version], cwd=root, env=environment)

    assert "Verified OK" in completed.stderr
