"""`trust` of matrix.yaml: who may sign, and what is no key."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import matrix
from builders.errors import MatrixError, SigningError
from builders.matrix import Identity
from builders.paths import ROOT
from builders.project import Project
from builders.signing import Trust
from builders.store import Store

ISSUER = "https://token.actions.githubusercontent.com"
PUBLIC = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"


def project(tmp_path: Path, trust: str) -> Project:
    text = (ROOT / "matrix.yaml").read_text("utf-8")
    (tmp_path / "matrix.yaml").write_text(f"{text}\ntrust:\n{trust}", encoding="utf-8")
    return Project(
        root=tmp_path,
        matrix=matrix.load(tmp_path / "matrix.yaml"),
        store=Store(tmp_path / "cache"),
    )


def test_nobody_is_trusted_unless_named() -> None:
    assert not matrix.load(ROOT / "tests" / "unit" / "matrix.yaml").trust.keys
    assert not Trust().required


def test_keys_and_identities_are_trusted(tmp_path: Path) -> None:
    (tmp_path / "cosign.pub").write_text(PUBLIC)
    found = Trust.of(
        project(
            tmp_path,
            f"  keys: [cosign.pub]\n  identities:\n    - issuer: {ISSUER}\n"
            "      subject: ^https://github\\.com/acme/.*$\n",
        )
    )
    assert found.keys == (tmp_path / "cosign.pub",)
    assert found.identities == (Identity(issuer=ISSUER, subject=r"^https://github\.com/acme/.*$"),)
    assert found.required
    assert found.knows(PUBLIC.rstrip())
    assert not found.knows(PUBLIC.replace("MFkw", "MFkx"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "is a private key"),
        ("ssh-ed25519 AAAA", "is not a public key"),
    ],
)
def test_what_is_no_public_key_is_refused(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / "cosign.pub").write_text(content)
    with pytest.raises(SigningError, match=problem):
        Trust.of(project(tmp_path, "  keys: [cosign.pub]\n"))


@pytest.mark.parametrize(
    ("trust", "problem"),
    [
        ("  keys: [../cosign.pub]\n", "must be the name of a file"),
        ("  keys: [/etc/cosign.pub]\n", "must be the name of a file"),
        ("  keys: [a.pub, a.pub]\n", "names a.pub more than once"),
        ("  keyz: [a.pub]\n", "did you mean 'keys'?"),
        (f"  identities: [{{issuer: {ISSUER}}}]\n", "missing"),
        ("  identities: [{issuer: http://x, subject: me}]\n", "must be the URL of an OpenID"),
        (f"  identities: [{{issuer: {ISSUER}, subject: ''}}]\n", "at least 1 character"),
        (f"  identities: [{{issuer: {ISSUER}, subject: ^acme}}]\n", r"must end in \$"),
        (f"  identities: [{{issuer: {ISSUER}, subject: '^(acme$'}}]\n", "is not a regular"),
        (f"  identities: [{{isuer: {ISSUER}, subject: me}}]\n", "did you mean 'issuer'?"),
    ],
)
def test_a_wrong_entry_is_explained(tmp_path: Path, trust: str, problem: str) -> None:
    with pytest.raises(MatrixError, match=problem):
        project(tmp_path, trust)
