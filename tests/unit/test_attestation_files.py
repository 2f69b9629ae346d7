"""Attestations as files: one of each kind for a digest, whatever was interrupted."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from builders.attestation import files
from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Form, Kind
from builders.errors import SigningError
from builders.signing import dsse
from tests.unit import attested

JUDGED = attested.verdict()
DIGEST = JUDGED.subject.digest
FOLDER = f"sha256-{'2' * 64}"


def made(form: Form, kind: Kind = Kind.TEST_RESULT, cell: str = "a-cell") -> Attestation:
    """Return an attestation in a form; nobody looks at its signature here."""
    statement = attested.statement(JUDGED.model_copy(update={"cell": cell}), kind)
    content = statements.to_json(statement)
    if form != "statement":
        content = dsse.envelope(content, base64.b64encode(b"signature").decode())
    if form == "sigstore":
        content = json.dumps({"dsseEnvelope": json.loads(content)}).encode()
    return statements.attestation(content, form)


@pytest.mark.parametrize("form", files.FORMS)
def test_what_is_written_is_read(tmp_path: Path, form: Form) -> None:
    written = [made(form, kind) for kind in Kind]

    paths = [files.write(tmp_path, each) for each in written]

    assert files.read(tmp_path, DIGEST) == tuple(written)
    assert [path.name for path in paths] == [f"{kind.word}.{form}.json" for kind in Kind]
    assert {path.parent for path in paths} == {tmp_path / FOLDER}
    assert [path.read_bytes() for path in paths] == [each.content for each in written]


def test_of_what_nothing_is_stated_there_is_nothing(tmp_path: Path) -> None:
    assert files.read(tmp_path, DIGEST) == ()


def test_a_newer_statement_replaces_what_was_signed_and_what_was_not(tmp_path: Path) -> None:
    pairs: tuple[tuple[Form, Form], ...] = (
        ("dsse", "statement"),
        ("statement", "dsse"),
        ("sigstore", "dsse"),
    )
    for first, second in pairs:
        files.write(tmp_path, made(first, cell="older"))
        newer = made(second, cell="newer")
        path = files.write(tmp_path, newer)
        assert files.read(tmp_path, DIGEST) == (newer,)
        assert list((tmp_path / FOLDER).iterdir()) == [path]


def test_a_signature_stays_when_the_same_is_stated_without_one(tmp_path: Path) -> None:
    signed = made("dsse")
    path = files.write(tmp_path, signed)

    assert files.write(tmp_path, made("statement")) == path

    assert files.read(tmp_path, DIGEST) == (signed,)


def test_of_two_that_were_put_beside_each_other_the_signed_one_is_read(tmp_path: Path) -> None:
    path = files.write(tmp_path, made("statement"))
    (path.parent / "test-result.dsse.json").write_bytes(made("dsse").content)

    assert files.read(tmp_path, DIGEST) == (made("dsse"),)


def test_a_killed_run_leaves_nothing_that_holds_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(tmp_path, made("dsse", cell="older"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path, made("statement", cell="newer"))

    assert files.read(tmp_path, DIGEST) == ()


def test_writing_the_same_again_touches_nothing(tmp_path: Path) -> None:
    path = files.write(tmp_path, made("dsse"))
    before = path.stat()

    files.write(tmp_path, made("dsse"))

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_about_another_digest_is_refused(tmp_path: Path) -> None:
    path = files.write(tmp_path, made("dsse"))
    moved = tmp_path / f"sha256-{'9' * 64}"
    path.parent.rename(moved)

    with pytest.raises(SigningError, match=f"test-result is about {DIGEST}"):
        files.read(tmp_path, attested.sha("9"))


def test_what_is_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = files.write(tmp_path, made("dsse"))
    path.rename(path.with_name("sbom.dsse.json"))

    with pytest.raises(SigningError, match="holds a test-result"):
        files.read(tmp_path, DIGEST)


def test_what_is_damaged_is_refused_and_named(tmp_path: Path) -> None:
    path = files.write(tmp_path, made("dsse"))
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(SigningError) as caught:
        files.read(tmp_path, DIGEST)
    assert caught.value.where == str(path)


def test_what_is_damaged_is_replaced(tmp_path: Path) -> None:
    files.write(tmp_path, made("dsse")).write_bytes(b"{")

    files.write(tmp_path, made("statement"))

    assert files.read(tmp_path, DIGEST) == (made("statement"),)
