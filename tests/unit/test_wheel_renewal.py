"""Wheels are chosen by the real uv, from a folder of wheels in place of an index."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from builders.errors import LockError
from builders.lock import wheel_renewal
from builders.lock import wheels as wheel_lock
from builders.lock.renewal import Renewal
from builders.network.indexes import Candidate, Indexes
from builders.network.pip_settings import PipSettings
from builders.network.uv_settings import uv_environment
from builders.store import Store
from tests.unit.elf_samples import elf_file

LINUX = ("linux/amd64", "linux/arm64")


class Bench:
    """A backend's folder beside an index's."""

    def __init__(self, folder: Path) -> None:
        self.backend = folder / "images" / "onnxruntime"
        self.index = folder / "index"
        self.store = Store(folder / "cache")
        self.backend.mkdir(parents=True)
        self.index.mkdir()

    def require(self, text: str) -> None:
        (self.backend / "requirements.in").write_text(text)

    def offer(self, name: str, version: str, tags: str, **files: bytes) -> None:
        path = self.index / f"{name}-{version}-{tags}.whl"
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        members: Mapping[str, bytes] = {
            f"{name}/__init__.py": b"",
            **{f"{name}/{file}.so": content for file, content in files.items()},
            f"{info}/METADATA": metadata.encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\n",
            f"{info}/RECORD": b"",
        }
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in members.items():
                archive.writestr(zipfile.ZipInfo(member), content)

    def offer_source(self, name: str, version: str, ending: str = "tar.gz") -> Path:
        """Offer a source archive that states what it requires; it cannot be built."""
        path = self.index / f"{name}-{version}.{ending}"
        metadata = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n".encode()
        project = b'[build-system]\nrequires = []\nbuild-backend = "none"\nbackend-path = ["."]\n'
        members = {"PKG-INFO": metadata, "pyproject.toml": project}
        if ending == "zip":
            with zipfile.ZipFile(path, "w") as zipped:
                for member, content in members.items():
                    zipped.writestr(zipfile.ZipInfo(f"{name}-{version}/{member}"), content)
            return path
        with tarfile.open(path, "w:gz") as archive:
            for member, content in members.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{member}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return path

    def renewals(self, *recipes: str) -> tuple[Renewal, ...]:
        settings = PipSettings(find_links=(str(self.index),), no_index=True)
        environment = uv_environment(settings, self.store.cache, {})
        return wheel_renewal.renewals(
            self.backend,
            LINUX,
            self.store,
            Indexes(settings=settings, environment=environment),
            progress=lambda _done, _total: None,
            recipes=recipes,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_wheels_are_chosen_for_each_platform_and_opened(bench: Bench) -> None:
    bench.offer("fast", "1.0", "cp311-cp311-manylinux_2_28_x86_64",
                library=elf_file(asks_for=["GLIBC_2.28"]))  # fmt: skip
    bench.offer("fast", "1.0", "cp311-cp311-manylinux_2_28_aarch64",
                library=elf_file(machine="arm64"))  # fmt: skip
    bench.offer("fast", "1.0", "py3-none-any")
    bench.require("fast\n")
    for renewal in bench.renewals():
        assert renewal.is_due
        renewal.write()
    amd64, arm64 = (wheel_lock.read(bench.backend, platform) for platform in LINUX)
    assert [wheel.file for wheel in amd64.wheels] == [
        "fast-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    ]
    assert amd64.wheels[0].contents.binaries == ("elf amd64",)
    assert amd64.wheels[0].contents.glibc == "2.28"
    assert amd64.wheels[0].contents.names == ("fast",)
    assert arm64.wheels[0].contents.binaries == ("elf arm64",)


def test_what_is_pruned_is_not_recorded(bench: Bench) -> None:
    bench.offer("fast", "1.0", "py3-none-any", library=elf_file())
    bench.require("fast\n")
    (bench.backend / "prune.txt").write_text("# programs\nfast/library.so\n")
    for renewal in bench.renewals():
        renewal.write()
    (wheel,) = wheel_lock.read(bench.backend, "linux/arm64").wheels
    assert (wheel.contents.binaries, wheel.contents.names) == ((), ("fast",))


def test_a_second_run_changes_nothing_and_a_newer_version_is_told(bench: Bench) -> None:
    bench.offer("plain", "1.0", "py3-none-any")
    bench.require("plain\n")
    for renewal in bench.renewals():
        renewal.write()
    assert [renewal.is_due for renewal in bench.renewals()] == [False, False, False]
    bench.offer("plain", "1.1", "py3-none-any")
    _, amd64, arm64 = bench.renewals()
    assert amd64.is_due
    assert amd64.changes == arm64.changes == ("plain 1.0 -> 1.1",)


def test_a_platform_without_solution_is_locked_with_the_reason(bench: Bench) -> None:
    bench.offer("fast", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    bench.require("fast\n")
    _, amd64, arm64 = bench.renewals()
    assert amd64.changes == ("+ fast 1.0",)
    assert arm64.changes[0].startswith("no solution: ")
    for renewal in bench.renewals():
        renewal.write()
    lock = wheel_lock.read(bench.backend, "linux/arm64")
    assert lock.wheels == ()
    assert "fast" in lock.no_solution


def test_no_solution_on_any_platform_is_an_error(bench: Bench) -> None:
    bench.require("misspelt\n")
    with pytest.raises(LockError, match="misspelt") as caught:
        bench.renewals()
    assert caught.value.where.endswith("onnxruntime/requirements.in")
    assert not (bench.backend / "locks").exists()


def test_what_has_a_recipe_is_locked_as_its_source_archive(bench: Bench) -> None:
    archive = bench.offer_source("built", "2.0")
    bench.offer("plain", "1.0", "py3-none-any")
    bench.require("built\nplain\n")
    for renewal in bench.renewals("built"):
        renewal.write()
    for platform in LINUX:
        lock = wheel_lock.read(bench.backend, platform)
        assert [wheel.name for wheel in lock.wheels] == ["plain"]
        (source,) = lock.sources
        assert (source.name, source.version, source.wheels) == ("built", "2.0", ())
        assert source.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
        assert bench.store.find(source.sha256, source.size) is not None
    assert [renewal.is_due for renewal in bench.renewals("built")] == [False, False, False]
    bench.offer_source("built", "2.1")
    contents, amd64, _ = bench.renewals("built")
    assert contents.changes == ()
    assert amd64.changes == ("built 2.0 -> 2.1",)


def test_a_recipe_is_followed_though_there_are_wheels(bench: Bench) -> None:
    bench.offer_source("built", "2.0")
    bench.offer("built", "2.0", "cp311-cp311-manylinux_2_28_x86_64")
    bench.offer("built", "2.0", "py3-none-win_amd64")
    bench.offer("built", "2.0", "cp310-cp310-win_amd64")
    bench.offer("built", "1.0", "py3-none-any")
    bench.require("built\n")
    contents, *locks = bench.renewals("built")
    files = ("built-2.0-cp311-cp311-manylinux_2_28_x86_64.whl", "built-2.0-py3-none-win_amd64.whl")
    assert contents.changes == (
        f"built 2.0 is built from source by decision, though there is {', '.join(files)}",
    )
    for renewal in (contents, *locks):
        renewal.write()
    (source,) = wheel_lock.read(bench.backend, "linux/amd64").sources
    assert source.wheels == files


def test_without_a_recipe_no_source_archive_is_taken(bench: Bench) -> None:
    bench.offer_source("built", "2.0")
    bench.require("built\n")
    with pytest.raises(LockError, match=r"built==2\.0 has no usable wheels") as caught:
        bench.renewals()
    assert "images/onnxruntime/wheels/<project>" in caught.value.remedy


def test_an_archive_that_the_wheel_stage_does_not_unpack_is_named(bench: Bench) -> None:
    bench.offer_source("built", "2.0", "zip")
    bench.require("built\n")
    with pytest.raises(LockError, match=r"built-2\.0\.zip is not a \.tar\.gz"):
        bench.renewals("built")


def test_an_index_that_states_no_digest_is_refused(bench: Bench) -> None:
    file = "fast-1.0-py3-none-any.whl"
    candidate = Candidate(name="fast", version="1.0", file=file, url=f"/{file}", sha256="")
    indexes = Indexes(settings=PipSettings(), environment={})
    with pytest.raises(LockError, match=r"states no sha256 of fast-1\.0-py3-none-any\.whl"):
        wheel_renewal._items({"": candidate}, bench.backend, indexes)
