"""What takes the place of packages that are no longer served, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from builders import drift
from builders.errors import FetchError
from builders.lock.debian import DebianLock, Libraries
from builders.network.apt import DebianPackage
from builders.network.download import NotServedError
from builders.network.locating import place_packages
from builders.network.mirrors import MIRROR_VARIABLE, Mirrors
from builders.network.transfer import Item
from builders.outcome import Outcome, rows
from builders.store import Store
from tests.unit.test_outcome import CELL, DISTANCE, PLAN, WIDE, verdict

MIRRORS = Mirrors(main="http://m.example/debian", security="http://s.example", keyring=Path("k"))


def package(name: str, version: str, source: str, sha256: str) -> DebianPackage:
    return DebianPackage(
        name=name,
        version=version,
        architecture="amd64",
        archive="main",
        path=f"pool/main/{source[0]}/{source}/{name}_{version}_amd64.deb",
        sha256=sha256 * 64,
        size=10,
    )


MINIMAL = package("python3.11-minimal", "3.11.2-6", "python3.11", "a")
LIBRARY = package("libpython3.11-minimal", "3.11.2-6", "python3.11", "b")
SSL = package("libssl3", "3.0.17-1", "openssl", "c")
SHELL = package("busybox-static", "1.35", "busybox", "d")
LOCK = DebianLock(
    platform="linux/amd64",
    libraries=Libraries(glibc="2.36", glibcxx="3.4.30"),
    root=(LIBRARY, SSL, MINIMAL),
    test=(SHELL,),
)
NEW_SSL = package("libssl3", "3.0.18-1", "openssl", "e")


def replaced(gone: DebianPackage, *current: DebianPackage) -> DebianLock:
    return drift.replaced(LOCK, [gone.sha256], current)


def refusal(*packages: DebianPackage, items: Sequence[Item] = ()) -> NotServedError:
    return NotServedError((*place_packages(packages, MIRRORS), *items))


def no_mirrors() -> Mirrors:
    pytest.fail("mirrors were looked for")


def docker(directory: Path, script: str) -> str:
    """Put a stand-in for `docker` there; return the PATH of a host that has nothing else."""
    directory.mkdir()
    (directory / "docker").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\ncat >/dev/null\n{script}\n")
    (directory / "docker").chmod(0o755)
    return str(directory)


def test_a_package_alone_in_its_source_moves_alone() -> None:
    assert drift.moving(LOCK, [SSL.sha256]) == (SSL,)


def test_packages_of_one_source_move_together() -> None:
    assert drift.moving(LOCK, [MINIMAL.sha256]) == (LIBRARY, MINIMAL)


def test_the_security_archive_has_the_same_sources() -> None:
    fixed = replace(LIBRARY, path=f"pool/updates/{LIBRARY.path.removeprefix('pool/')}")
    lock = replace(LOCK, root=(fixed, SSL, MINIMAL))
    assert drift.moving(lock, [MINIMAL.sha256]) == (fixed, MINIMAL)


def test_nothing_moves_while_all_is_served() -> None:
    assert drift.moving(LOCK, ["f" * 64]) == ()


def test_the_current_package_takes_the_locked_one_s_place() -> None:
    found = replaced(SSL, NEW_SSL)
    assert found.root == (LIBRARY, NEW_SSL, MINIMAL)
    assert found.drift == ("libssl3 3.0.17-1 -> 3.0.18-1",)
    assert found.digest != LOCK.digest
    assert found.libraries == LOCK.libraries


def test_a_package_of_the_source_that_has_not_moved_is_no_drift() -> None:
    new = package("python3.11-minimal", "3.11.2-7", "python3.11", "e")
    found = replaced(MINIMAL, LIBRARY, new)
    assert found.drift == ("python3.11-minimal 3.11.2-6 -> 3.11.2-7",)


def test_what_tests_use_is_replaced_without_drift_of_the_image() -> None:
    new = package("busybox-static", "1.36", "busybox", "e")
    found = replaced(SHELL, new)
    assert found.test == (new,)
    assert found.drift == ()
    assert found.digest == LOCK.digest


@pytest.mark.parametrize("version", ["3.0.16-1", "3.0.17-1"])
def test_a_version_that_is_not_newer_is_refused(version: str) -> None:
    with pytest.raises(FetchError, match=f"libssl3 3.0.17-1; .* but {version}") as caught:
        replaced(SSL, package("libssl3", version, "openssl", "e"))
    assert caught.value.where == "linux/amd64"
    assert MIRROR_VARIABLE in caught.value.remedy


def test_an_index_that_names_what_is_not_served_is_refused() -> None:
    with pytest.raises(FetchError, match=r"no newer one, but 3\.0\.17-1"):
        replaced(SSL, SSL)


def test_a_package_of_the_source_must_not_become_older() -> None:
    new = package("python3.11-minimal", "3.11.2-7", "python3.11", "e")
    older = package("libpython3.11-minimal", "3.11.2-5", "python3.11", "f")
    with pytest.raises(FetchError, match=r"libpython3\.11-minimal 3\.11\.2-6; .* but 3\.11\.2-5"):
        replaced(MINIMAL, older, new)


def test_a_wheel_that_is_gone_stays_an_error(tmp_path: Path) -> None:
    wheel = Item(name="x.whl", url="http://i.example/x.whl", sha256="9" * 64, size=1)
    gone = refusal(SSL, items=[wheel])
    with pytest.raises(NotServedError, match=r"libssl3.*x\.whl"):
        drift.settled({"linux/amd64": LOCK}, gone, Store(tmp_path), no_mirrors, note=pytest.fail)


def test_without_apt_and_docker_the_remedies_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    notes: list[str] = []
    with pytest.raises(FetchError, match=r"no apt with Debian's keys .* no Docker") as caught:
        drift.settled(
            {"linux/amd64": LOCK},
            refusal(SSL),
            Store(tmp_path),
            lambda: MIRRORS,
            note=notes.append,
        )
    assert "install Docker" in caught.value.remedy
    assert notes == ["no longer served: libssl3_3.0.17-1_amd64.deb; asking the signed index"]


def test_without_apt_the_official_image_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"'{MIRRORS.main}/{NEW_SSL.path}' libssl3_3.0.18-1_amd64.deb 10 SHA256:{NEW_SSL.sha256}"
    monkeypatch.setenv("PATH", docker(tmp_path / "bin", f'echo "{line}"'))
    notes: list[str] = []
    found = drift.settled(
        {"linux/amd64": LOCK}, refusal(SSL), Store(tmp_path), lambda: MIRRORS, note=notes.append
    )
    assert found["linux/amd64"] == replaced(SSL, NEW_SSL)
    assert found["linux/amd64"].drift == ("libssl3 3.0.17-1 -> 3.0.18-1",)
    assert notes[1:] == ["drifted from the lock of linux/amd64: libssl3 3.0.17-1 -> 3.0.18-1"]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo E: no such package >&2; exit 44", "not in the signed index either: libssl3"),
        ("echo E: no route to host >&2; exit 100", "^exit status 100 from: docker run"),
    ],
)
def test_an_unreachable_index_is_told_from_one_that_lacks_the_package(
    script: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", docker(tmp_path / "bin", script))
    with pytest.raises(FetchError) as caught:
        drift.settled(
            {"linux/amd64": LOCK},
            refusal(SSL),
            Store(tmp_path),
            lambda: MIRRORS,
            note=lambda _line: None,
        )
    assert re.search(problem, caught.value.problem)


def test_an_image_has_the_drift_of_both_roots() -> None:
    here, there = replaced(SSL, NEW_SSL), replace(LOCK, platform="linux/arm64")
    assert drift.of_image(here, here) == ("libssl3 3.0.17-1 -> 3.0.18-1",)
    assert drift.of_image(here, there) == ("libssl3 3.0.17-1 -> 3.0.18-1",)
    assert drift.of_image(there, here) == (
        "libssl3 3.0.17-1 -> 3.0.18-1 (build platform linux/amd64)",
    )
    assert drift.of_image(there, there) == ()


def test_a_drifted_image_is_never_releasable() -> None:
    passed, failed = verdict(WIDE), verdict(WIDE, DISTANCE)
    assert passed.releasable
    assert not failed.releasable
    moved = passed.inputs.model_copy(update={"drift": ("libssl3 3.0.17-1 -> 3.0.18-1",)})
    drifted = passed.model_copy(update={"inputs": moved})
    assert drifted.passed
    assert not drifted.releasable


def test_the_final_table_says_that_an_image_drifted() -> None:
    judged = verdict(WIDE)
    moved = judged.inputs.model_copy(update={"drift": ("libssl3 3.0.17-1 -> 3.0.18-1",)})
    for found, expected in ((judged, False), (judged.model_copy(update={"inputs": moved}), True)):
        lines = rows(PLAN, [Outcome(cell=CELL, verdict=found)])
        assert [row.drifted for row in lines if row.cell == CELL.id] == [expected]
