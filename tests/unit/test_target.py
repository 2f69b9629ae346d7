"""Publications as targets: what a directory has, and which registries matrix.yaml names."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import matrix, project, publication, target
from builders.attestation import files
from builders.attestation import statement as statements
from builders.attestation.statement import Kind, Statement
from builders.errors import PublicationError, RegistryError
from builders.project import Project
from builders.registry import client
from builders.store import Store
from tests.unit.test_publication import make_image

NAME = "equivec/a-b"
TEXT = (Path(__file__).parent / "matrix.yaml").read_text(encoding="utf-8")


def checkout(directory: Path, publication: str) -> Project:
    file = directory / "matrix.yaml"
    file.write_text(TEXT.replace("publication: oci:dist/images", f"publication: {publication}"))
    return Project(root=directory, matrix=matrix.load(file), store=Store(directory / "cache"))


def test_a_directory_is_a_target(tmp_path: Path) -> None:
    found = checkout(tmp_path, "oci:dist/images")
    image = make_image(tmp_path / "1", "linux/amd64")
    digest = publication.publish(found.publication, [image], [])[NAME]
    statement = Statement(
        kind=Kind.TEST_RESULT, subject_name=NAME, digest=digest, predicate={"result": "PASSED"}
    )
    attestation = statements.attestation(statements.to_json(statement), "statement")
    files.write(found.attestations, attestation)

    (here,) = target.targets(found, pytest.fail)

    assert here.where == "oci:dist/images"
    assert here.reference(NAME) == "oci:dist/images:a-b"
    assert here.indexes() == {NAME: digest}
    assert target.digest_of(here.index(NAME)) == digest
    assert target.digest_of(here.manifest(NAME, image.digest)) == image.digest
    assert here.attestations(NAME, digest) == (attestation,)
    assert here.attestations(NAME, image.digest) == ()
    assert here.tag(NAME, "v1") is None
    here.put_tag(NAME, "v1", digest)
    assert here.tags(NAME) == {"v1": digest}
    assert here.tag(NAME, "v1") == here.tag(NAME, "tested") == digest
    here.copy(NAME, image.digest, tmp_path / "copy")
    assert (tmp_path / "copy" / "index.json").exists()
    with pytest.raises(PublicationError, match="equivec/other is not published"):
        here.index("equivec/other")


def test_registries_are_filled_from_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "registry", lambda *_, **__: None)
    found = checkout(tmp_path, "[docker://ghcr.io/acme, 'docker://127.0.0.1:5000']")
    first, second, third = target.targets(found, pytest.fail)
    assert (first.where, second.where) == ("oci:dist/images", "docker://ghcr.io/acme")
    assert found.publication == tmp_path / project.PUBLICATION
    assert second.reference(NAME) == "ghcr.io/acme/equivec/a-b"
    assert third.reference(NAME) == "127.0.0.1:5000/equivec/a-b"
    assert isinstance(second, target.RegistryTarget)
    assert "equivec/onnxruntime-fixture-768" in second.names


def test_a_registry_needs_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "registry", lambda *_, **__: None)
    with pytest.raises(RegistryError, match="not the name of a repository"):
        target.targets(checkout(tmp_path, "docker://acme"), pytest.fail)
