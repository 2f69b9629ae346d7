"""The store keeps what it is given, notices damage, and is safe for several at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import store as store_module
from builders.errors import StoreError
from builders.store import VERIFIED_NS, Store, cache_directory

CONTENT = b"an input"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def put(store: Store, content: bytes = CONTENT) -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    partial = store.partial(sha256)
    partial.write_bytes(content)
    path = store.add(sha256, partial)
    assert path is not None
    return path


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_the_cache_is_where_the_platform_keeps_caches() -> None:
    home = Path("/home/ada")
    assert cache_directory({}, system="linux", home=home) == home / ".cache/equivec"
    assert cache_directory({}, system="darwin", home=home) == home / "Library/Caches/equivec"
    xdg = {"XDG_CACHE_HOME": "/home/ada/xdg"}
    assert cache_directory(xdg, system="linux", home=home) == Path("/home/ada/xdg/equivec")
    relative = {"XDG_CACHE_HOME": "caches"}
    assert cache_directory(relative, system="linux", home=home) == home / ".cache/equivec"
    named = {"EQUIVEC_CACHE": "/scratch/e", "XDG_CACHE_HOME": "/home/ada/xdg"}
    assert cache_directory(named, system="darwin", home=home) == Path("/scratch/e")


def test_what_was_added_is_found_read_only(store: Store) -> None:
    assert store.find(SHA256, SIZE) is None
    path = put(store)
    assert store.find(SHA256, SIZE) == path
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    assert not store.partial(SHA256).exists()


def test_another_content_is_not_added(store: Store) -> None:
    partial = store.partial(SHA256)
    partial.write_bytes(b"another")
    assert store.add(SHA256, partial) is None
    assert not store.path(SHA256).exists()


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT.upper(), CONTENT * 2])
def test_a_damaged_file_is_noticed_and_replaced(store: Store, damage: bytes) -> None:
    overwrite(put(store), damage)
    assert store.find(SHA256, SIZE) is None
    path = put(store)
    assert path.read_bytes() == CONTENT
    assert store.find(SHA256, SIZE) == path


def test_a_file_that_was_truncated_behind_its_time_is_noticed(store: Store) -> None:
    path = put(store)
    overwrite(path, b"")
    os.utime(path, ns=(VERIFIED_NS, VERIFIED_NS))
    assert store.find(SHA256, SIZE) is None


def test_content_is_hashed_only_after_a_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(store)
    hashed: list[Path] = []

    def count(path: Path) -> str:
        hashed.append(path)
        return SHA256

    monkeypatch.setattr(store_module, "sha256_of", count)
    store.find(SHA256, SIZE)
    assert hashed == []
    path.touch()
    assert store.find(SHA256, SIZE) == path
    assert store.find(SHA256, SIZE) == path
    assert hashed == [path]


def test_a_digest_cannot_lead_out_of_the_store(store: Store) -> None:
    for digest in ("../../etc/passwd", SHA256.upper(), SHA256[:-1], f"{SHA256}\n"):
        with pytest.raises(StoreError, match="not a sha256"):
            store.path(digest)
        with pytest.raises(StoreError, match="not a sha256"):
            store.partial(digest)


def test_gathered_files_have_their_names_and_the_fixed_time(store: Store) -> None:
    put(store)
    directory = store.gathered("wheels", {"a.whl": SHA256})
    shown = directory / "a.whl"
    assert shown.read_bytes() == CONTENT
    assert shown.stat().st_mtime_ns == VERIFIED_NS
    inode = directory.stat().st_ino
    assert store.gathered("wheels", {"a.whl": SHA256}) == directory
    assert directory.stat().st_ino == inode  # not made anew
    assert store.gathered("wheels", {"b.whl": SHA256}) != directory


def test_gathered_files_are_repaired_with_the_store(store: Store) -> None:
    path = put(store)
    directory = store.gathered("wheels", {"a.whl": SHA256})
    overwrite(path, CONTENT.upper())
    assert store.find(SHA256, SIZE) is None
    put(store)
    assert store.gathered("wheels", {"a.whl": SHA256}) == directory
    assert (directory / "a.whl").read_bytes() == CONTENT


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: overwrite(path, b"other")])
def test_gathered_copies_are_repaired(store: Store, damage: Callable[[Path], None]) -> None:
    put(store)
    shown = store.gathered("wheels", {"a.whl": SHA256}) / "a.whl"
    content = shown.read_bytes()
    shown.unlink()
    shown.write_bytes(content)
    damage(shown)
    store.gathered("wheels", {"a.whl": SHA256})
    assert shown.read_bytes() == CONTENT


def test_a_derived_directory_is_made_once(store: Store) -> None:
    calls: list[Path] = []

    def make(directory: Path) -> None:
        calls.append(directory)
        (directory / "file").write_text("made")

    first = store.derived("base", "d1", make)
    assert store.derived("base", "d1", make) == first
    assert (first / "file").read_text() == "made"
    assert len(calls) == 1


def test_a_derived_directory_that_fails_leaves_nothing(store: Store) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.derived("base", "d1", fail)
    assert list((store.cache / "derived" / "base").iterdir()) == []


def test_what_a_killed_run_left_is_swept(store: Store) -> None:
    (store.cache / "derived" / "base" / ".d1").mkdir(parents=True)
    (store.cache / "derived" / "base" / ".d1" / "half").write_text("half")
    made = store.derived("base", "d1", lambda directory: (directory / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]


@pytest.mark.parametrize("left", [".d1", ".d1.old"])
def test_sweeping_spares_what_is_being_made(store: Store, left: str) -> None:
    unfinished = store.cache / "derived" / "base" / left
    (unfinished / "half").mkdir(parents=True)
    finished = store.derived("base", "d2", lambda directory: (directory / "whole").touch())
    with store.exclusive("base-d1"):
        store.sweep()
        assert unfinished.exists()
    store.sweep()
    assert list((store.cache / "derived" / "base").iterdir()) == [finished]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_while_a_directory_is_made_says_so(store: Store) -> None:
    def make(directory: Path) -> None:
        (directory / "half").touch()
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(StoreError, match="no space"):
        store.derived("base", "d1", make)
    assert list((store.cache / "derived" / "base").iterdir()) == []


def test_threads_that_want_the_same_directory_make_it_once(store: Store) -> None:
    calls: list[int] = []

    def make(directory: Path) -> None:
        calls.append(1)
        time.sleep(0.05)
        (directory / "file").touch()

    threads = [threading.Thread(target=store.derived, args=("base", "d1", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_another_process_holds_the_lock_until_it_is_killed(store: Store) -> None:
    program = (
        "import sys, time; from pathlib import Path; from builders.store import Store\n"
        "with Store(Path(sys.argv[1])).exclusive('x'): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, store.cache],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        acquired = threading.Event()

        def acquire() -> None:
            with store.exclusive("x"):
                acquired.set()

        waiter = threading.Thread(target=acquire)
        waiter.start()
        assert not acquired.wait(0.3)
        holder.kill()
        assert acquired.wait(5)
        waiter.join()


def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="EQUIVEC_CACHE") as caught:
        Store(tmp_path / "file" / "cache")
    assert "file" in caught.value.where


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_says_so(store: Store) -> None:
    with (
        pytest.raises(StoreError, match="no space"),
        store_module.usable(store.cache),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")
