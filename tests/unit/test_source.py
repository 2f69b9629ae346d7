"""The source revision, as Git tells it: real repositories in temporary directories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builders import source
from builders.source import Source

IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


def git(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    words = ["git", "-C", str(root), *IDENTITY, *arguments]
    return subprocess.run(
        words, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    root = tmp_path / "checkout"
    (root / "images" / "service").mkdir(parents=True)
    (root / "matrix.yaml").write_text("epoch: 0\n")
    (root / "images" / "service" / "a.py").write_text("a\n")
    (root / ".gitignore").write_text("/dist/\n__pycache__/\n*.log\n")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "One")
    return root


def test_a_commit_and_nothing_else_is_clean(checkout: Path) -> None:
    assert source.of(checkout) == Source(
        revision=git(checkout, "rev-parse", "HEAD"), clean=True, repository=None
    )


@pytest.mark.parametrize(
    "change", ["modify", "stage", "delete", "add", "add elsewhere", "ignored input"]
)
def test_any_change_is_told(checkout: Path, change: str) -> None:
    if change in ("modify", "stage"):
        (checkout / "matrix.yaml").write_text("epoch: 1\n")
    if change == "stage":
        git(checkout, "add", "--all")
    if change == "delete":
        (checkout / "images" / "service" / "a.py").unlink()
    if change == "add":
        (checkout / "images" / "new").write_text("")
    if change == "add elsewhere":
        (checkout / "notes").write_text("")
    if change == "ignored input":
        (checkout / "images" / "service" / "x.log").write_text("would be in the image")

    found = source.of(checkout)

    assert found.revision == git(checkout, "rev-parse", "HEAD")
    assert not found.clean


def test_what_git_ignores_and_nobody_reads_is_no_change(checkout: Path) -> None:
    (checkout / "dist").mkdir()
    (checkout / "dist" / "verdict.json").write_text("")
    (checkout / "x.log").write_text("")
    for folder in ("images/service", "builders"):
        (checkout / folder / "__pycache__").mkdir(parents=True)
        (checkout / folder / "__pycache__" / "a.pyc").write_text("")

    assert source.of(checkout).clean


def test_a_part_of_a_larger_repository_is_judged_alone(checkout: Path) -> None:
    whole = checkout.parent / "whole"
    whole.mkdir()
    git(whole, "init", "--quiet")
    (checkout / ".git").rename(checkout.parent / "gone")
    inside = whole / "tools"
    checkout.rename(inside)
    git(whole, "add", "--all")
    git(whole, "commit", "--quiet", "--message", "All")
    (whole / "beside").write_text("")

    assert source.of(inside).clean

    (inside / "images" / "service" / "x.log").write_text("")
    assert not source.of(inside).clean


@pytest.mark.parametrize("place", ["no repository", "another's repository", "no commit"])
def test_where_git_knows_no_revision_there_is_none(tmp_path: Path, place: str) -> None:
    root = tmp_path / "unpacked"
    root.mkdir()
    (root / "matrix.yaml").write_text("epoch: 0\n")
    if place == "another's repository":
        git(tmp_path, "init", "--quiet")
        (tmp_path / "own").write_text("")
        git(tmp_path, "add", "own")
        git(tmp_path, "commit", "--quiet", "--message", "Another")
    if place == "no commit":
        git(root, "init", "--quiet")
        git(root, "add", "--all")

    assert source.of(root) == Source(revision=None, clean=False)


def test_without_git_there_is_no_revision(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert source.of(checkout) == Source()


SECRET = "ghp_secret"  # noqa: S105 (of nobody)


@pytest.mark.parametrize(
    ("remote", "told"),
    [
        ("https://github.com/acme/equivec.git", "https://github.com/acme/equivec.git"),
        (f"https://x-access-token:{SECRET}@github.com/a/b", "https://github.com/a/b"),
        (f"https://{SECRET}@github.com/a/b", "https://github.com/a/b"),
        (f"https://git.example:8443/a/b?private_token={SECRET}", "https://git.example:8443/a/b"),
        (f"https://git.example/a/b#{SECRET}", "https://git.example/a/b"),
        ("git@github.com:acme/equivec.git", "ssh://github.com/acme/equivec.git"),
        (f"{SECRET}@git.example:a/b", "ssh://git.example/a/b"),
        ("ssh://git@github.com:22/a/b", "ssh://github.com:22/a/b"),
        ("/home/somebody/equivec", None),
        ("file:///home/somebody/equivec", None),
        ("../equivec", None),
        (f"https://user:{SECRET}@[::1/a", None),
        (f"https://git.example:{SECRET}/a", None),
        (f"ext::sh -c {SECRET}", None),
        ("", None),
    ],
)
def test_a_remote_is_told_without_its_secrets(checkout: Path, remote: str, told: str) -> None:
    git(checkout, "config", "remote.origin.url", remote)

    found = source.of(checkout)

    assert found.repository == told
    assert SECRET not in found.model_dump_json()
    assert found.clean
