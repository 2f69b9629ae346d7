"""Who reads Debian's index: the host's own apt, if it can verify it; else the official image's."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.lock import debian_index
from builders.network.apt import Index
from builders.network.contained_apt import ContainedIndex
from builders.network.mirrors import Mirrors
from builders.store import Store


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    path = tmp_path / "keyring.gpg"
    path.touch()
    return path


@pytest.fixture
def apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that finds every index well; the only program of the host."""
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


def reader(directory: Path, keyring: Path) -> Index | ContainedIndex:
    mirrors = Mirrors(main="http://d/debian", security=None, keyring=keyring)
    with debian_index.updated("linux/arm64", Store(directory / "cache"), mirrors) as index:
        return index


def test_the_hosts_apt_reads_it(tmp_path: Path, keyring: Path, apt_get: Path) -> None:
    index = reader(tmp_path, keyring)
    assert isinstance(index, Index)
    assert index.directory == tmp_path / "cache/apt/bookworm-arm64"
    assert (index.directory / "sources.list").is_file()
    assert (index.suite, index.architecture) == ("bookworm", "arm64")


def test_without_apt_the_image_reads_it(tmp_path: Path, keyring: Path, apt_get: Path) -> None:
    apt_get.unlink()
    index = reader(tmp_path, keyring)
    assert isinstance(index, ContainedIndex)
    assert (index.suite, index.architecture) == ("bookworm", "arm64")
    assert not (tmp_path / "cache/apt").exists()


def test_without_debians_keys_the_image_reads_it(
    tmp_path: Path, keyring: Path, apt_get: Path
) -> None:
    keyring.unlink()
    assert isinstance(reader(tmp_path, keyring), ContainedIndex)
