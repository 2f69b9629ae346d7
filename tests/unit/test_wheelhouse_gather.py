"""The set of wheels of a backend: those of its lock, and those that were built."""

from __future__ import annotations

import contextlib
import shutil
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from builders.engine import Engine
from builders.errors import BuildError
from builders.files import sha256_of
from builders.lock import wheels as wheel_lock
from builders.project import Project
from builders.store import Store
from builders.wheelhouse import build, gather
from builders.wheelhouse.gather import Toolchain
from builders.wheelhouse.wheels import Wheels
from tests.unit.elf_samples import elf_file
from tests.unit.wheel_builds import AMD64, checkout, source, toolchain, wheel, write_lock

BUILT = "pkg-1.0-py3-none-manylinux_2_34_x86_64.whl"


def _no_engine() -> Engine:
    pytest.fail("an engine was asked for")


COMPILERS = Toolchain(lock=toolchain(), engine=_no_engine)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout whose wheel was built before, and which locks another one."""
    made = checkout(tmp_path)
    other = made.store.partial(wheel("idna").sha256)
    other.write_bytes(b"wheel")
    assert made.store.add(wheel("idna").sha256, other) is not None
    lock = write_lock(made.images / "pkg", source(), wheel("idna"), platform=AMD64)
    lock.path.with_name(wheel_lock.CONTENTS).write_text(wheel_lock.format_contents([lock]))
    (planned,) = build.planned(made, "pkg", AMD64, COMPILERS.lock)
    made.store.derived(build.KIND, planned.key, write_wheel)
    return made


def write_wheel(directory: Path, flags: str = "-march=x86-64") -> None:
    record = f"GNU C17 12.2.0 {flags} -O2\0".encode()
    library = elf_file(machine="amd64", needed=["libc.so.6"], asks_for=["GLIBC_2.34"]) + record
    with zipfile.ZipFile(directory / BUILT, "w") as archive:
        archive.writestr("pkg/__init__.py", "")
        archive.writestr("pkg/lib/libcore.so", library + b"x" * 1_000_000)
        archive.writestr("pkg-1.0.dist-info/METADATA", "Name: pkg\nVersion: 1.0\n")
        archive.writestr("pkg-1.0.dist-info/RECORD", "")


def gathered(project: Project) -> Wheels:
    return gather.wheels_of(project, "pkg", AMD64, COMPILERS, note=print)


def test_locked_and_built_wheels_are_side_by_side(project: Project) -> None:
    found = gathered(project)

    assert found.versions == {"idna": "1.0", "pkg": "1.0"}
    assert {path.name for path in found.directory.iterdir()} == {"idna-1.0-py3-none-any.whl", BUILT}
    assert found.built == {BUILT: sha256_of(found.directory / BUILT)}
    assert found.promised == {"pkg": ("pkg/lib/libcore.so",)}
    assert found.lock == wheel_lock.read(project.images / "pkg", AMD64).digest
    assert found.drift == ()


def test_a_wheel_of_drifted_compilers_has_their_drift(project: Project) -> None:
    lock = replace(toolchain(), drift=("gcc-12 1 -> 2",))
    drifted = Toolchain(lock=lock, engine=_no_engine)
    found = gather.wheels_of(project, "pkg", AMD64, drifted, note=print)
    assert found.drift == ("gcc-12 1 -> 2",)


def test_a_kept_wheel_is_held_to_todays_audit(project: Project) -> None:
    """One that a laxer audit has let pass is refused, and goes into no image."""
    (planned,) = build.planned(project, "pkg", AMD64, COMPILERS.lock)
    project.store.rederived(
        build.KIND, planned.key, lambda place: write_wheel(place, "-march=x86-64 -mavx2")
    )
    with pytest.raises(BuildError, match="-mavx2, which old processors lack"):
        gathered(project)


def test_wheels_only_have_no_drift(project: Project) -> None:
    lock = write_lock(project.images / "other", wheel("idna"), platform=AMD64)
    lock.path.with_name(wheel_lock.CONTENTS).write_text(wheel_lock.format_contents([lock]))

    found = gather.wheels_of(project, "other", AMD64, COMPILERS, note=print)

    assert (found.digest, found.built, found.promised) == (lock.digest, {}, {})


def test_a_built_wheel_that_was_damaged_in_the_store_is_put_there_again(project: Project) -> None:
    (sha256,) = gathered(project).built.values()
    stored = project.store.path(sha256)
    stored.unlink()
    stored.write_bytes(b"half")

    found = gathered(project)

    assert sha256_of(found.directory / BUILT) == sha256


def test_cells_gather_the_same_wheel_at_the_same_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them have seen that the store lacks it, before one adds it."""
    together = threading.Barrier(4)
    add = Store.add

    def late(store: Store, sha256: str, file: Path) -> Path | None:
        with contextlib.suppress(threading.BrokenBarrierError):  # they may come one by one
            together.wait(0.3)
        return add(store, sha256, file)

    monkeypatch.setattr(Store, "add", late)
    found: list[str] = []

    def cell() -> None:
        found.extend(gathered(project).built.values())

    threads = [threading.Thread(target=cell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1


def test_wheels_that_were_built_elsewhere_are_taken(project: Project, tmp_path: Path) -> None:
    """No engine, and nothing that was built here, is asked for."""
    shutil.rmtree(project.store.cache / "derived" / build.KIND)
    write_wheel(tmp_path)
    elsewhere = replace(COMPILERS, compiled={("pkg", AMD64): (tmp_path / BUILT,)})

    found = gather.wheels_of(project, "pkg", AMD64, elsewhere, note=print)

    assert found.built == {BUILT: sha256_of(tmp_path / BUILT)}
    assert found.promised == {"pkg": ("pkg/lib/libcore.so",)}


def test_a_wheel_that_was_built_elsewhere_is_audited(project: Project, tmp_path: Path) -> None:
    write_wheel(tmp_path, "-march=x86-64 -mavx2")
    elsewhere = replace(COMPILERS, compiled={("pkg", AMD64): (tmp_path / BUILT,)})
    with pytest.raises(BuildError, match="-mavx2, which old processors lack"):
        gather.wheels_of(project, "pkg", AMD64, elsewhere, note=print)


def test_wheels_of_other_sources_than_the_locks_are_refused(
    project: Project, tmp_path: Path
) -> None:
    write_wheel(tmp_path)
    other = (tmp_path / BUILT).rename(tmp_path / BUILT.replace("1.0", "1.1"))
    elsewhere = replace(COMPILERS, compiled={("pkg", AMD64): (other,)})
    with pytest.raises(BuildError, match=r"are pkg 1\.1; the lock has pkg 1\.0"):
        gather.wheels_of(project, "pkg", AMD64, elsewhere, note=print)
