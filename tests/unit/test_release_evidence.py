"""What counts of what is published, and of what is said of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from builders import publication
from builders.attestation import files, test_result
from builders.attestation.statement import Attestation, Kind
from builders.errors import RegistryError, SigningError
from builders.registry.faults import Fault, RegistryFault
from builders.release.evidence import Published, Verify, gather
from builders.release.judgement import refusals
from builders.target import OciTarget
from tests.unit.released import AMD64, ARM64, DEMANDS, Shelf, judged, statement_of_index, wanted

NAME = "equivec/a-b"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.publish(NAME)
    return made


def gathered(shelf: Shelf, verify: Verify | None = None) -> Published:
    return gather(shelf.target, NAME, shelf.index(NAME), verify)


def reasons(shelf: Shelf, verify: Verify | None = None) -> tuple[str, ...]:
    return refusals(wanted(NAME), gathered(shelf, verify), DEMANDS)


def test_everything_that_is_stated_counts_where_nobody_is_named(shelf: Shelf) -> None:
    found = gathered(shelf)

    assert found.damage == ()
    assert found.index.kinds == {Kind.TEST_RESULT}
    assert set(found.platforms) == {AMD64, ARM64}
    for platform, said in found.platforms.items():
        assert said.kinds == frozenset(Kind)
        assert [each.subject.platform for each in said.verdicts] == [platform]
        assert said.signers == said.disregarded == ()
    assert reasons(shelf) == ()


def test_who_signed_is_told_once(shelf: Shelf) -> None:
    asked: list[tuple[str, bytes]] = []

    def verify(attestation: Attestation, content: bytes) -> str:
        asked.append((attestation.statement.digest, content))
        return "the key k"

    found = gathered(shelf, verify)

    assert found.platforms[AMD64].signers == found.index.signers == ("the key k",)
    assert all(publication.document(shelf.target.directory, name) == of for name, of in asked)
    assert len(asked) == 7


def test_what_nobody_who_is_trusted_has_signed_is_as_good_as_none(shelf: Shelf) -> None:
    def verify(attestation: Attestation, _content: bytes) -> str:
        raise SigningError(f"{attestation.statement.kind.word} was changed\n  | and more")

    found = gathered(shelf, verify)

    assert found.platforms[ARM64].verdicts == ()
    assert found.platforms[ARM64].kinds == frozenset()
    assert "linux/arm64: no sbom that counts: sbom was changed" in reasons(shelf, verify)
    assert "index: no test result that counts: test-result was changed" in reasons(shelf, verify)


def test_a_signature_that_does_not_count_is_told_of_each_manifest(shelf: Shelf) -> None:
    asked: list[str] = []

    def signature(reference: str) -> str:
        asked.append(reference)
        if reference.endswith(shelf.digests[NAME, ARM64]):
            raise SigningError("not signed by anyone who is trusted")
        return "the key k"

    found = gather(shelf.target, NAME, shelf.index(NAME), None, signature)

    digests = (shelf.index(NAME), *(shelf.digests[NAME, each] for each in (AMD64, ARM64)))
    assert asked == [f"oci:images:a-b@{digest}" for digest in digests]
    assert found.index.unsigned == found.platforms[AMD64].unsigned == ""
    assert found.platforms[ARM64].unsigned == "not signed by anyone who is trusted"


def test_a_manifest_that_was_altered_is_noticed(shelf: Shelf) -> None:
    blob = shelf.blob(shelf.digests[NAME, ARM64])
    blob.write_bytes(blob.read_bytes().replace(b"schema", b"schemA"))

    found = reasons(shelf)

    assert found[0].startswith(f"{shelf.digests[NAME, ARM64]}: ")
    assert "holds the bytes of" in found[0]
    assert "linux/arm64: no test result, no provenance, no sbom" in found


def test_a_manifest_that_is_gone_is_noticed(shelf: Shelf) -> None:
    shelf.blob(shelf.digests[NAME, AMD64]).unlink()

    assert "is not there" in reasons(shelf)[0]


def test_an_index_that_was_altered_is_noticed(shelf: Shelf) -> None:
    digest = shelf.index(NAME)
    blob = shelf.blob(digest)
    blob.write_bytes(blob.read_bytes() + b" ")

    found = refusals(wanted(NAME), gather(shelf.target, NAME, digest, None), DEMANDS)

    assert "holds the bytes of" in found[0]


def test_a_manifest_replaced_under_the_tag_has_no_verdict(shelf: Shelf, tmp_path: Path) -> None:
    other = Shelf(tmp_path / "other")
    other.publish(NAME, content="never tested")
    publication.publish(
        shelf.target.directory,
        [
            publication.PassedImage(
                name=NAME,
                platform=ARM64,
                layout=other.target.directory,
                digest=other.digests[NAME, ARM64],
            )
        ],
        [],
    )

    found = reasons(shelf)

    assert "index: no test result" in found
    assert "linux/arm64: no test result, no provenance, no sbom" in found
    assert not any(line.startswith("linux/amd64") for line in found)


def test_a_verdict_on_another_image_does_not_count(shelf: Shelf) -> None:
    verdict = judged(NAME, ARM64, shelf.digests[NAME, AMD64])
    statement = test_result.predicate(verdict)
    folder = files.place(shelf.target.attested, shelf.digests[NAME, ARM64])
    file = folder / "test-result.statement.json"
    document = json.loads(file.read_bytes())
    file.write_text(json.dumps({**document, "predicate": statement}))

    (reason,) = reasons(shelf)

    assert reason.startswith("linux/arm64: no test result that counts: its verdict is on sha256:")


def test_an_index_result_of_other_images_does_not_count(shelf: Shelf) -> None:
    verdicts = [judged(NAME, each, shelf.digests[NAME, AMD64]) for each in (AMD64, ARM64)]
    predicate = test_result.index_predicate(verdicts)

    shelf.attest(statement_of_index(NAME, shelf.index(NAME), predicate))

    assert reasons(shelf) == (
        "index: no test result that counts: it is about other images than the index lists",
    )


def test_an_index_result_that_is_not_passed_does_not_count(shelf: Shelf) -> None:
    verdicts = [judged(NAME, each, shelf.digests[NAME, each]) for each in (AMD64, ARM64)]
    predicate = {**test_result.index_predicate(verdicts), "result": "WARNED"}

    shelf.attest(statement_of_index(NAME, shelf.index(NAME), predicate))

    assert reasons(shelf) == ("index: no test result that counts: it says WARNED",)


def test_a_statement_that_cannot_be_read_is_told(shelf: Shelf) -> None:
    folder = files.place(shelf.target.attested, shelf.digests[NAME, ARM64])
    (folder / "sbom.statement.json").write_text("{}")

    (reason,) = reasons(shelf)

    assert reason.startswith("linux/arm64: what is stated of it cannot be read: not a statement")


def test_an_index_that_lists_nothing_sensible_is_told(shelf: Shelf) -> None:
    content = b'{"schemaVersion": 2, "manifests": [{}]}'
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    shelf.blob(digest).write_bytes(content)

    found = gather(shelf.target, NAME, digest, None)

    assert "the index is malformed" in found.damage[0]
    assert found.platforms == {}


def test_a_registry_that_fails_is_no_damage(shelf: Shelf) -> None:
    class Down(OciTarget):
        def manifest(self, name: str, digest: str) -> bytes:
            raise RegistryFault(fault, digest, where=name)

    target = shelf.target
    down = Down(where=target.where, directory=target.directory, attested=target.attested)

    fault = Fault.SERVER
    with pytest.raises(RegistryError, match="the registry fails"):
        gather(down, NAME, shelf.index(NAME), None)
    fault = Fault.ABSENT
    assert gather(down, NAME, shelf.index(NAME), None).damage


def test_a_required_platform_that_was_withdrawn_is_missed(shelf: Shelf) -> None:
    publication.publish(shelf.target.directory, [], [(NAME, ARM64)])

    assert reasons(shelf) == (
        "index: no test result",
        "linux/arm64: required by release.platforms, and not published",
    )
