"""Debian locks are read strictly and written the same way every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.errors import LockError
from builders.lock.debian import DebianLock, Libraries, format_lock, listed, read
from builders.network.apt import DebianPackage


def package(name: str, digit: str, architecture: str = "arm64") -> DebianPackage:
    return DebianPackage(
        name=name,
        version="1:2.36-9+deb12u14~x",
        architecture=architecture,
        archive="main",
        path=f"pool/main/{name[0]}/{name}/{name}_2.36-9+deb12u14_{architecture}.deb",
        sha256=digit * 64,
        size=100,
    )


LOCK = DebianLock(
    platform="linux/arm64",
    libraries=Libraries(glibc="2.36", glibcxx="3.4.30"),
    root=(package("libc6", "a"), package("tzdata", "b", "all")),
    test=(package("busybox-static", "c"),),
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()
    (tmp_path / "packages.txt").write_text("# the root\nlibc6\ntzdata # zones\n")
    (tmp_path / "test-packages.txt").write_text("busybox-static\n")
    write(tmp_path, LOCK)
    return tmp_path


def write(base: Path, lock: DebianLock) -> None:
    (base / "locks/linux-arm64.json").write_text(format_lock(lock))


def change(base: Path, **fields: Any) -> None:
    path = base / "locks/linux-arm64.json"
    document = json.loads(path.read_text())
    document["root"][0].update(fields)
    path.write_text(json.dumps(document))


def test_what_was_written_is_read(base: Path) -> None:
    assert read(base, "linux/arm64") == LOCK


def test_packages_are_written_in_one_order(base: Path) -> None:
    text = format_lock(LOCK)
    assert format_lock(replace(LOCK, root=LOCK.root[::-1])) == text
    assert text.endswith("}\n")
    assert (base / "locks/linux-arm64.json").read_text() == text


def test_the_digest_is_of_the_root_s_files() -> None:
    assert replace(LOCK, test=()).digest == LOCK.digest
    assert replace(LOCK, root=LOCK.root[:1]).digest != LOCK.digest
    assert LOCK.digest.startswith("sha256:")


def test_a_platform_without_lock_is_named(base: Path) -> None:
    with pytest.raises(LockError, match="no lock of Debian packages for linux/amd64") as caught:
        read(base, "linux/amd64")
    assert caught.value.where.endswith("locks/linux-amd64.json")
    assert "nox -s lock" in caught.value.remedy


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../x"},
        {"version": "1 2"},
        {"architecture": "i386"},
        {"archive": "backports"},
        {"path": "/etc/passwd"},
        {"path": "pool/x.tar"},
        {"sha256": "a" * 63},
        {"size": 0},
        {"more": 1},
    ],
)
def test_malformed_packages_are_refused(base: Path, fields: dict[str, Any]) -> None:
    change(base, **fields)
    with pytest.raises(LockError, match="malformed") as caught:
        read(base, "linux/arm64")
    assert caught.value.where == str(base / "locks/linux-arm64.json")


def test_a_package_of_another_architecture_is_refused(base: Path) -> None:
    change(base, architecture="amd64")
    with pytest.raises(LockError, match="libc6 is for amd64"):
        read(base, "linux/arm64")


@pytest.mark.parametrize(
    "fields", [{"name": "tzdata"}, {"path": LOCK.root[1].path}, {"sha256": "c" * 64}]
)
def test_what_is_there_twice_is_refused(base: Path, fields: dict[str, Any]) -> None:
    change(base, **fields)
    with pytest.raises(LockError, match="is there twice"):
        read(base, "linux/arm64")


def test_a_key_that_is_there_twice_is_refused(base: Path) -> None:
    path = base / "locks/linux-arm64.json"
    path.write_text(path.read_text().replace('"suite"', '"suite": "sid", "suite"'))
    with pytest.raises(LockError, match="suite is there twice"):
        read(base, "linux/arm64")


@pytest.mark.parametrize(
    ("name", "text", "difference"),
    [("packages.txt", "libc6\n", "tzdata"), ("test-packages.txt", "", "busybox-static")],
)
def test_a_lock_of_other_lists_is_refused(
    base: Path, name: str, text: str, difference: str
) -> None:
    (base / name).write_text(text)
    with pytest.raises(LockError, match=f"not the lock of {name}: {difference}"):
        read(base, "linux/arm64")


def test_a_name_that_is_listed_twice_is_refused(base: Path) -> None:
    (base / "packages.txt").write_text("libc6\n\ntzdata\nlibc6\n")
    with pytest.raises(LockError, match="libc6 is there twice") as caught:
        read(base, "linux/arm64")
    assert caught.value.where == f"{base / 'packages.txt'}:4"


def test_a_missing_list_is_named(base: Path) -> None:
    (base / "packages.txt").unlink()
    with pytest.raises(LockError, match="a list is missing") as caught:
        read(base, "linux/arm64")
    assert caught.value.where == str(base / "packages.txt")


def test_an_entry_may_be_for_one_architecture(tmp_path: Path) -> None:
    path = tmp_path / "packages.txt"
    path.write_text("gcc-12\ngcc-12-x86-64-linux-gnu [arm64] # cross\nlibc6-arm64-cross [amd64]\n")
    assert listed(path, "linux/amd64") == ("gcc-12", "libc6-arm64-cross")
    assert listed(path, "linux/arm64") == ("gcc-12", "gcc-12-x86-64-linux-gnu")


@pytest.mark.parametrize(
    "entry", ["gcc-12 [i386]", "gcc-12 amd64", "gcc-12 [amd64] [arm64]", "gcc-12 g++-12"]
)
def test_an_entry_that_is_no_package_is_named(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "packages.txt"
    path.write_text(f"libc6\n{entry}\n")
    with pytest.raises(LockError) as caught:
        listed(path, "linux/amd64")
    assert caught.value.problem == f"not a package: {entry}"
    assert caught.value.where == str(path)


def test_a_lock_is_held_to_the_entries_of_its_architecture(base: Path) -> None:
    (base / "packages.txt").write_text("libc6\ntzdata [arm64]\ng++-12 [amd64]\n")
    assert read(base, "linux/arm64") == LOCK
    (base / "packages.txt").write_text("libc6\ntzdata [amd64]\n")
    with pytest.raises(LockError, match=r"not the lock of packages\.txt: tzdata"):
        read(base, "linux/arm64")
