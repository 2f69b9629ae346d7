"""Locks age: a version disappears from a real archive on loopback, and what is built says so."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builders import inputs, matrix, verdict
from builders.engine import Engine
from builders.errors import FetchError, LockError
from builders.formats import layout
from builders.inputs import Needs
from builders.lock import debian as debian_lock
from builders.lock.debian import DebianLock, Libraries
from builders.network import contained_apt
from builders.network.apt import DebianPackage
from builders.network.mirrors import IMAGE, MIRROR_VARIABLE, Mirrors, mirrors
from builders.paths import ROOT
from builders.project import Project
from builders.rootfs import kept
from builders.store import Store, cache_directory
from tests.system import checkouts
from tests.system.archive import Archive, Key, Source, served
from tests.system.checkouts import Checkout
from tests.system.without_apt import Programs

PLATFORM = "linux/amd64"
TZDATA = next(
    package
    for package in debian_lock.read(ROOT / "images/base", PLATFORM).root
    if package.name == "tzdata"
)
OLD_PATH = "pool/main/t/tzdata/tzdata_2020a-0_all.deb"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nxyz\n-----END CERTIFICATE-----\n"


def files(name: str, version: str) -> dict[str, str]:
    """What a package holds; a root file system cannot be without these."""
    return {
        "base-files": {
            "usr/bin/python3.11": "python",
            "usr/share/zoneinfo/Etc/UTC": "TZif",
            "usr/share/ca-certificates/mozilla/A.crt": CERTIFICATE,
        },
        "busybox-static": {"bin/busybox": f"busybox {version}"},
    }.get(name, {f"usr/lib/{name}.txt": f"{name} {version}"})


SOURCES = {
    "base-files": "base-files",
    "libssl3": "openssl",
    "python3.11-minimal": "python3.11",
    "libpython3.11-minimal": "python3.11",
    "busybox-static": "busybox",
}


def source(name: str, version: str) -> Source:
    return Source(name=name, version=version, source=SOURCES[name], files=files(name, version))


@dataclass
class Aged:
    """A checkout, its lock, and the archive that the lock was made from."""

    archive: Archive
    key: Key
    project: Project
    lock: DebianLock
    path: str = field(default_factory=lambda: os.environ["PATH"])
    notes: list[str] = field(default_factory=list)

    def locked(self, name: str) -> DebianPackage:
        return next(package for package in self.lock.packages if package.name == name)

    def supersede(self, name: str, version: str) -> DebianPackage:
        """Take the locked version of a package out; another is there instead."""
        self.archive.remove(self.locked(name))
        return self.archive.add(source(name, version))

    def fetch(self) -> DebianLock:
        needs = Needs(roots=(PLATFORM,), wheels=(), build_platform=PLATFORM)
        with pytest.MonkeyPatch.context() as host:
            host.setenv("PATH", self.path)
            return inputs.fetch(
                self.project,
                needs,
                progress=lambda *_: None,
                note=self.notes.append,
                places=self.places,
            ).base[PLATFORM]

    def places(self) -> Mirrors:
        """Return the mirror that the environment names; only the keys are the test's own."""
        return replace(mirrors(), keyring=self.key.keyring)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Key, Key]]:
    directory = tmp_path_factory.mktemp("keys")
    made = Key(directory / "ours"), Key(directory / "other")
    yield made
    for key in made:
        key.close()


@pytest.fixture
def aged(tmp_path: Path, keys: tuple[Key, Key], monkeypatch: pytest.MonkeyPatch) -> Iterator[Aged]:
    archive = Archive(tmp_path / "archive", tmp_path / "scratch")
    packages = {name: archive.add(source(name, "1.0-1")) for name in SOURCES}
    archive.publish(keys[0])
    root = {name: package for name, package in packages.items() if name != "busybox-static"}
    lock = DebianLock(
        platform=PLATFORM,
        libraries=Libraries(glibc="2.36", glibcxx="3.4.30"),
        root=tuple(sorted(root.values(), key=lambda package: package.name)),
        test=(packages["busybox-static"],),
    )
    base = tmp_path / "checkout/images/base"
    (base / "locks").mkdir(parents=True)
    (base / "packages.txt").write_text("\n".join(root) + "\n")
    (base / "test-packages.txt").write_text("busybox-static\n")
    (base / "prune.txt").write_text("")
    debian_lock.lock_path(base, PLATFORM).write_text(debian_lock.format_lock(lock))
    # Nothing is built from source here, but there are compilers that could.
    shutil.copytree(base, base.with_name("toolchain"))
    with served(archive.directory) as url:
        monkeypatch.setenv(MIRROR_VARIABLE, url)
        yield Aged(
            archive=archive,
            key=keys[0],
            project=Project(
                root=tmp_path / "checkout",
                matrix=matrix.load(ROOT / "matrix.yaml"),
                store=Store(tmp_path / "cache"),
            ),
            lock=lock,
        )


def layer(aged: Aged, lock: DebianLock) -> bytes:
    """Return the root file system of a lock."""
    found = layout.read(kept.root(aged.project, lock).directory)
    return layout.blob_path(found.directory, found.layers[0].digest).read_bytes()


def test_what_is_served_is_what_is_locked(aged: Aged) -> None:
    assert aged.fetch() == aged.lock
    assert aged.notes == []
    assert not (aged.project.store.cache / "apt").exists()
    assert b"libssl3 1.0-1" in layer(aged, aged.lock)


def test_a_version_that_is_gone_is_replaced_by_the_current_one(aged: Aged) -> None:
    before = aged.fetch()
    old = kept.root(aged.project, before)
    aged.project.store.path(aged.locked("libssl3").sha256).unlink()
    new = aged.supersede("libssl3", "1.0-1+deb12u1")
    aged.archive.publish(aged.key)

    lock = aged.fetch()

    assert lock.drift == ("libssl3 1.0-1 -> 1.0-1+deb12u1",)
    assert [package for package in lock.root if package not in before.root] == [new]
    assert aged.notes == [
        "no longer served: libssl3_1.0-1_amd64.deb; asking the signed index",
        "drifted from the lock of linux/amd64: libssl3 1.0-1 -> 1.0-1+deb12u1",
    ]
    root = kept.root(aged.project, lock)
    assert root.lock == lock.digest
    assert root.lock != old.lock
    assert root.directory != old.directory
    assert root.digest != old.digest
    assert b"libssl3 1.0-1+deb12u1" in layer(aged, lock)


def test_the_committed_lock_stays_as_it_is(aged: Aged) -> None:
    path = debian_lock.lock_path(aged.project.images / "base", PLATFORM)
    committed = path.read_text()
    aged.supersede("libssl3", "1.0-2")
    aged.archive.publish(aged.key)
    assert aged.fetch().drift
    assert path.read_text() == committed


def test_a_lock_that_is_met_again_has_not_drifted(aged: Aged) -> None:
    kept = (aged.archive.directory / aged.locked("libssl3").path).read_bytes()
    aged.supersede("libssl3", "1.0-2")
    aged.archive.publish(aged.key)
    assert aged.fetch().drift
    (aged.archive.directory / aged.locked("libssl3").path).write_bytes(kept)
    assert aged.fetch() == aged.lock


def test_packages_of_one_source_move_together(aged: Aged) -> None:
    aged.supersede("libpython3.11-minimal", "1.0-2")
    aged.archive.add(source("python3.11-minimal", "1.0-2"))  # the locked one is still there
    aged.archive.publish(aged.key)
    assert aged.fetch().drift == (
        "libpython3.11-minimal 1.0-1 -> 1.0-2",
        "python3.11-minimal 1.0-1 -> 1.0-2",
    )


def test_what_only_tests_use_makes_no_other_image(aged: Aged) -> None:
    aged.supersede("busybox-static", "1.0-2")
    aged.archive.publish(aged.key)
    lock = aged.fetch()
    assert lock.drift == ()
    assert lock.digest == aged.lock.digest
    assert aged.notes[-1].endswith("busybox-static 1.0-1 -> 1.0-2")
    assert inputs.shell(aged.project, lock).read_text() == "busybox 1.0-2"


def test_an_index_signed_by_another_key_is_refused(aged: Aged, keys: tuple[Key, Key]) -> None:
    new = aged.supersede("libssl3", "1.0-2")
    aged.archive.publish(keys[1])
    with pytest.raises(FetchError, match=r"NO_PUBKEY|not signed"):
        aged.fetch()
    assert aged.project.store.find(new.sha256, new.size) is None


def test_an_index_that_was_altered_is_refused(aged: Aged) -> None:
    new = aged.supersede("libssl3", "1.0-2")
    aged.archive.publish(aged.key)
    index = aged.archive.index()
    index.write_text(index.read_text().replace(new.sha256, "0" * 64))
    with pytest.raises(FetchError, match=r"Hash Sum mismatch"):
        aged.fetch()


def test_a_package_that_left_the_index_is_an_error(aged: Aged) -> None:
    aged.archive.remove(aged.locked("libssl3"))
    aged.archive.publish(aged.key)
    with pytest.raises(FetchError, match=r"not in the signed index either: libssl3") as caught:
        aged.fetch()
    assert "nox -s lock" in caught.value.remedy


def test_an_older_version_is_not_taken(aged: Aged) -> None:
    older = aged.supersede("libssl3", "1.0-1~deb12u1")
    aged.archive.publish(aged.key)
    with pytest.raises(FetchError, match=r"no newer one, but 1\.0-1~deb12u1") as caught:
        aged.fetch()
    assert MIRROR_VARIABLE in caught.value.remedy
    assert aged.project.store.find(older.sha256, older.size) is None


def test_an_index_that_names_what_is_not_there_is_an_error(aged: Aged) -> None:
    (aged.archive.directory / aged.locked("libssl3").path).unlink()
    with pytest.raises(FetchError, match=r"no newer one, but 1\.0-1"):
        aged.fetch()


@pytest.fixture
def without_apt(aged: Aged, tmp_path: Path) -> Programs:
    """The programs of a host without apt, which is where the lock has aged."""
    programs = Programs(tmp_path / "host")
    aged.path = str(programs.path)
    return programs


def test_on_a_host_without_apt_it_is_a_marked_drift_too(aged: Aged, without_apt: Programs) -> None:
    new = aged.supersede("libssl3", "1.0-1+deb12u1")
    aged.archive.publish(aged.key)

    lock = aged.fetch()

    assert lock.drift == ("libssl3 1.0-1 -> 1.0-1+deb12u1",)
    assert new in lock.root
    assert aged.notes == [
        "no longer served: libssl3_1.0-1_amd64.deb; asking the signed index",
        "drifted from the lock of linux/amd64: libssl3 1.0-1 -> 1.0-1+deb12u1",
    ]
    assert b"libssl3 1.0-1+deb12u1" in layer(aged, lock)
    asked = contained_apt.argv(platform.system(), contained_apt.proxies_of(os.environ))
    assert without_apt.calls() == [" ".join(asked[1:])]
    assert not (aged.project.store.cache / "apt").exists()


def test_without_apt_an_index_signed_by_another_key_is_refused(
    aged: Aged, keys: tuple[Key, Key], without_apt: Programs
) -> None:
    new = aged.supersede("libssl3", "1.0-2")
    aged.archive.publish(keys[1])
    with pytest.raises(FetchError, match=r"NO_PUBKEY|not signed"):
        aged.fetch()
    assert aged.project.store.find(new.sha256, new.size) is None


def test_without_apt_an_index_that_was_altered_is_refused(
    aged: Aged, without_apt: Programs
) -> None:
    new = aged.supersede("libssl3", "1.0-2")
    aged.archive.publish(aged.key)
    index = aged.archive.index()
    index.write_text(index.read_text().replace(new.sha256, "0" * 64))
    with pytest.raises(FetchError, match=r"Hash Sum mismatch"):
        aged.fetch()


def test_without_apt_a_package_that_left_the_index_is_an_error(
    aged: Aged, without_apt: Programs
) -> None:
    aged.archive.remove(aged.locked("libssl3"))
    aged.archive.publish(aged.key)
    with pytest.raises(FetchError, match=r"not in the signed index either: libssl3"):
        aged.fetch()


@pytest.fixture
def outdated(private: Engine, tmp_path: Path) -> Checkout:
    """A copy of the checkout whose lock names a version that no mirror has any more.

    The user's engine keeps the names of the images that do not drift.
    """
    environment = checkouts.environment_of(private)
    checkout = checkouts.copy(tmp_path / "copy", cache_directory(), environment)
    checkouts.reduce(checkout.root)
    change(
        debian_lock.lock_path(checkout.root / "images/base", PLATFORM),
        {TZDATA.path: OLD_PATH, TZDATA.version: "2020a-0", TZDATA.sha256: "0" * 64},
    )
    return checkout


def change(path: Path, words: Mapping[str, str]) -> None:
    """Put other words in a file's place of some."""
    text = path.read_text()
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def lock_session(
    checkout: Checkout, *words: str, variables: Mapping[str, str] = checkouts.NOTHING
) -> tuple[int, str]:
    """Run the lock session; return its exit status and what it printed."""
    command = (sys.executable, "-m", "builders", "lock", *words)
    with checkout.running(argv=command, variables=variables) as run:
        return run.wait(), run.output


def test_an_image_of_a_drifted_lock_passes_but_is_not_releasable(outdated: Checkout) -> None:
    base = outdated.root / "images/base"
    output = outdated.build(*checkouts.AMD64)

    (path,) = (outdated.root / "dist/verdicts").iterdir()
    found = verdict.read(path)
    assert found.passed
    assert not found.releasable
    (move,) = [move for move in found.inputs.drift if move.startswith("tzdata ")]
    assert move.startswith("tzdata 2020a-0 -> 202")
    assert found.inputs.debian_lock != debian_lock.read(base, PLATFORM).digest
    lines = output.splitlines()
    assert any("no longer served: tzdata_2020a-0_all.deb" in line for line in lines)
    assert any(found.cell in line and f"drifted from its lock: {move}" in line for line in lines)
    assert any("passed, drifted" in line for line in lines)

    # The same image again, now that the lock says the same: it is judged by that.
    shutil.copy(debian_lock.lock_path(ROOT / "images/base", PLATFORM), base / "locks")
    assert "drifted from its lock: tzdata" not in outdated.build(*checkouts.AMD64)
    again = verdict.read(path)
    assert again.inputs.drift == tuple(each for each in found.inputs.drift if each != move)
    assert again.subject.digest == found.subject.digest


def test_the_lock_session_tells_what_has_moved_and_renews_it(outdated: Checkout) -> None:
    (model,) = (outdated.root / "images/models").glob("fixture-768.json")
    digest = next(iter(json.loads(model.read_text())["formats"]["onnx"].values()))["sha256"]
    change(model, {digest: "0" * 64})
    lock = debian_lock.lock_path(outdated.root / "images/base", PLATFORM)
    before = lock.read_text(), model.read_text()

    status, output = lock_session(outdated, "--check")

    assert status == LockError.exit_code
    assert "moved: images/base/locks/linux-amd64.json" in output
    assert "  tzdata 2020a-0 -> 202" in output
    assert "moved: images/models/fixture-768.json" in output
    assert f"sha256 000000000000 -> {digest[:12]}" in output
    assert (lock.read_text(), model.read_text()) == before

    status, output = lock_session(outdated)

    assert status == 0
    assert "written: images/base/locks/linux-amd64.json" in output
    assert "  tzdata 2020a-0 -> 202" in output
    assert lock_session(outdated, "--check")[0] == 0


def test_the_lock_session_needs_no_apt(outdated: Checkout, tmp_path: Path) -> None:
    host, places = Programs(tmp_path / "host"), mirrors()
    variables = {
        "PATH": str(host.path),
        # What the image's apt would name; the stand-in's may be of another distribution.
        MIRROR_VARIABLE: f"{places.main} {places.security or ''}",
    }
    status, output = lock_session(outdated, "--check", variables=variables)
    assert status == LockError.exit_code, output
    assert "moved: images/base/locks/linux-amd64.json" in output
    assert "  tzdata 2020a-0 -> 202" in output
    assert IMAGE in host.calls()[-1]
