"""Who is trusted in a verification. That their signatures count: tests/system/test_verify.py."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from builders.commands import trust as options
from builders.errors import SelectionError, SigningError
from builders.matrix import load
from builders.paths import ROOT
from builders.project import Project
from builders.store import Store
from builders.verification.trust import Named, trusted

ISSUER = "https://token.actions.githubusercontent.com"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(
        root=tmp_path, matrix=load(ROOT / "matrix.yaml"), store=Store(tmp_path / "cache")
    )


def parsed(*words: str) -> Named:
    parser = argparse.ArgumentParser()
    options.add_trust(parser)
    return options.named(parser.parse_args(words))


def test_without_options_the_checkout_says_who_is_trusted(project: Project) -> None:
    named = parsed()
    assert named == Named()
    assert not project.matrix.trust.keys
    assert trusted(project, named, note=pytest.fail).who == ()


def test_whoever_is_named_is_trusted_and_nobody_else(project: Project, tmp_path: Path) -> None:
    key = tmp_path / "a.pub"
    key.touch()
    trust = parsed("--key", str(key), "--issuer", ISSUER, "--identity", "someone").trust(project)
    assert trust.keys == (key,)
    assert [(each.issuer, each.subject) for each in trust.identities] == [(ISSUER, "someone")]


def test_a_key_that_is_not_there_is_told(project: Project, tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="no such file"):
        parsed("--key", str(tmp_path / "absent.pub")).trust(project)


@pytest.mark.parametrize(("issuer", "subject"), [("not a URL", "someone"), (ISSUER, "^open")])
def test_an_identity_that_is_none_is_told(issuer: str, subject: str, project: Project) -> None:
    with pytest.raises(SigningError):
        parsed("--issuer", issuer, "--identity", subject).trust(project)


@pytest.mark.parametrize("words", [("--issuer", ISSUER), ("--identity", "someone")])
def test_half_an_identity_is_refused(words: tuple[str, str]) -> None:
    with pytest.raises(SelectionError, match="without the other"):
        parsed(*words)
