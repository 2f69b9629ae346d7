"""What a killed engine left is recognised as its own, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builders.engine import remains as engine_remains
from builders.engine.configuration import Places

CONTAINER = (
    "611 412 0:57 / / rw,relatime - overlay overlay "
    "rw,lowerdir=/c/engine/containerd/s/1/fs,upperdir=/c/engine/containerd/s/2/fs,workdir=/c/w"
)
HOST = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"


def test_a_containers_root_tells_whose_it_is() -> None:
    assert engine_remains.rooted_in(f"{CONTAINER}\n", Path("/c/engine"))
    assert not engine_remains.rooted_in(CONTAINER, Path("/c/eng"))
    assert not engine_remains.rooted_in(CONTAINER, Path("/other/engine"))
    assert not engine_remains.rooted_in(HOST, Path("/c/engine"))


def test_an_overlay_elsewhere_than_the_root_tells_nothing() -> None:
    assert not engine_remains.rooted_in(CONTAINER.replace(" / / ", " / /mnt "), Path("/c/engine"))


@pytest.fixture
def own(tmp_path: Path) -> Places:
    return Places(root=tmp_path / "engine", run=tmp_path / "run", packages=tmp_path / "packages")


def process(directory: Path, program: Path, *words: str, mounts: str = HOST) -> Path:
    directory.mkdir()
    (directory / "exe").symlink_to(program)
    (directory / "cmdline").write_text("\0".join(words) + "\0")
    (directory / "mountinfo").write_text(mounts)
    return directory


def test_a_shim_of_this_engine_is_its_own(own: Places, tmp_path: Path) -> None:
    shim = own.packages / "x/bin/containerd-shim-runc-v2"
    address = ("-address", f"{own.run}/containerd.sock")
    assert engine_remains.belongs(process(tmp_path / "1", shim, "shim", *address), own)


def test_a_shim_of_another_engine_is_not(own: Places, tmp_path: Path) -> None:
    shim = own.packages / "x/bin/containerd-shim-runc-v2"
    address = ("-address", "/run/equivec/other/containerd.sock")
    assert not engine_remains.belongs(process(tmp_path / "1", shim, "shim", *address), own)


def test_a_daemon_of_another_cache_with_the_same_programs_is_not(
    own: Places, tmp_path: Path
) -> None:
    """Its own path is below this engine's root: that says whose program it is, not whose daemon."""
    own = replace(own, packages=own.root / "packages")  # as in a cache of its own
    dockerd = own.packages / "x/bin/dockerd"
    argv = (str(dockerd), "--config-file", "/elsewhere/engine/dockerd.json")
    assert not engine_remains.belongs(process(tmp_path / "1", dockerd, *argv), own)
    mine = (str(dockerd), "--config-file", f"{own.root}/dockerd.json")
    assert engine_remains.belongs(process(tmp_path / "2", dockerd, *mine), own)


def test_who_reads_the_engines_log_is_not(own: Places, tmp_path: Path) -> None:
    tail = process(tmp_path / "1", Path("/usr/bin/tail"), "tail", f"{own.root}/dockerd.log")
    assert not engine_remains.belongs(tail, own)


def test_a_process_in_a_container_is(own: Places, tmp_path: Path) -> None:
    mounts = CONTAINER.replace("/c/engine", str(own.root))
    inside = process(tmp_path / "1", Path("/usr/bin/python3"), "python3", mounts=mounts)
    assert engine_remains.belongs(inside, own)


def test_a_process_that_has_ended_is_nobodys(own: Places, tmp_path: Path) -> None:
    assert not engine_remains.belongs(tmp_path / "12345", own)


def test_processes_are_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    engine_remains.end([child.pid])
    assert child.wait(1) == -9
    engine_remains.end([child.pid])  # ended already


def test_a_stale_pid_file_ends_nobody(own: Places) -> None:
    own.run.mkdir()
    engine_remains.terminate(own, "dockerd")  # there is none
    own.pid("dockerd").write_text("")
    engine_remains.terminate(own, "dockerd")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        own.pid("dockerd").write_text(f"{bystander.pid}\n")
        engine_remains.terminate(own, "dockerd")
        assert bystander.poll() is None
        bystander.kill()


def test_directories_that_the_daemons_made_are_removed(
    own: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, made, used = (tmp_path / name for name in ("before", "made", "used"))
    monkeypatch.setattr(engine_remains, "FOREIGN", (before, made, used))
    own.run.mkdir()
    before.mkdir()
    engine_remains.note_foreign(own)
    made.mkdir()
    (used / "by-somebody").mkdir(parents=True)
    engine_remains.note_foreign(own)  # a second start must not forget what the first made
    engine_remains.remove_foreign(own)
    assert before.exists()
    assert not made.exists()
    assert used.exists()


def test_this_process_is_not_the_engines(own: Places) -> None:
    assert os.getpid() not in engine_remains.processes(own)
