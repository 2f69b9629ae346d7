"""The wheel stage's root file system: unpacked once, and apart from the images'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders.files import sha256_of
from builders.formats import layout
from builders.lock.debian import DebianLock
from builders.project import Project
from builders.rootfs import kept
from tests.unit.images import file
from tests.unit.test_rootfs import base
from tests.unit.wheel_builds import checkout, debian_package, toolchain


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = checkout(tmp_path)
    (made.images / "base").mkdir()
    (made.images / "base" / "prune.txt").touch()
    (made.images / "toolchain" / "prune.txt").write_text("usr/share/doc/*\n", encoding="utf-8")
    return made


@pytest.fixture
def lock(project: Project, tmp_path: Path) -> DebianLock:
    package = base(tmp_path, [file("./usr/share/doc/gcc"), file("./usr/bin/gcc")])
    sha256 = sha256_of(package)
    package.rename(project.store.partial(sha256))
    assert project.store.add(sha256, project.store.partial(sha256)) is not None
    return toolchain(replace(debian_package("base"), sha256=sha256))


def test_a_root_is_unpacked_once(project: Project, lock: DebianLock) -> None:
    first = kept.root(project, lock, folder=kept.TOOLCHAIN)
    project.store.path(lock.root[0].sha256).unlink()

    assert kept.root(project, lock, folder=kept.TOOLCHAIN) == first
    assert first.digest == layout.read(first.directory).manifest_digest
    assert first.lock == lock.digest


def test_the_same_packages_without_what_the_folder_prunes(
    project: Project, lock: DebianLock
) -> None:
    whole, pruned = (kept.root(project, lock, folder=each) for each in (kept.BASE, kept.TOOLCHAIN))
    assert whole.directory != pruned.directory
    assert whole.digest != pruned.digest


def test_other_packages_are_another_root(project: Project, lock: DebianLock) -> None:
    first = kept.root(project, lock)
    drifted = replace(lock, root=(replace(lock.root[0], path="pool/base_2_amd64.deb"),))
    assert kept.root(project, drifted).directory != first.directory
