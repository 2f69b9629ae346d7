"""Locked files are looked for only when they are missing, and only the locked ones are taken."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders.errors import FetchError
from builders.formats.wheel import Contents
from builders.lock.wheels import Source, Wheel, WheelLock
from builders.network.apt import DebianPackage
from builders.network.indexes import Candidate, Indexes
from builders.network.locating import locate_packages, locate_wheels, place_packages, place_wheel
from builders.network.mirrors import Mirrors
from builders.network.pip_settings import PipSettings
from builders.network.uv_settings import uv_environment
from builders.store import Store

CONTENT = b"a file"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MIRRORS = Mirrors(main="http://m.example/debian", security="http://s.example", keyring=Path("k"))
PACKAGE = DebianPackage(
    name="libc6",
    version="1:2.36",
    architecture="arm64",
    archive="security",
    path="pool/updates/main/g/glibc/libc6_2.36_arm64.deb",
    sha256=SHA256,
    size=len(CONTENT),
)
WHEEL = Wheel(
    name="idna",
    version="3.20",
    sha256=SHA256,
    file="idna-3.20-py3-none-any.whl",
    size=len(CONTENT),
    contents=Contents(binaries=(), glibc=None, glibcxx=None, names=("idna",)),
)
LOCK = WheelLock(path=Path("locks/linux-arm64.txt"), platform="linux/arm64", wheels=(WHEEL,))
NOWHERE = Indexes(settings=PipSettings(no_index=True), environment={})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def full_store(store: Store) -> Store:
    store.partial(SHA256).write_bytes(CONTENT)
    assert store.add(SHA256, store.partial(SHA256)) is not None
    return store


def _no_mirrors() -> Mirrors:
    pytest.fail("mirrors were looked for")


def candidate(sha256: str, file: str = WHEEL.file) -> Candidate:
    url = f"https://f.example/{sha256[:4]}/{file}"
    return Candidate(name="idna", version="3.20", file=file, url=url, sha256=sha256)


def test_nothing_is_asked_for_what_is_there(
    full_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Indexes, "locate")
    assert locate_packages([PACKAGE], full_store, _no_mirrors) == ()
    assert locate_wheels([LOCK], full_store, NOWHERE) == ()


def test_a_package_is_at_its_archive_s_mirror() -> None:
    (item,) = place_packages([PACKAGE], MIRRORS)
    assert item.url == "http://s.example/pool/updates/main/g/glibc/libc6_2.36_arm64.deb"
    assert (item.name, item.sha256, item.size) == ("libc6_2.36_arm64.deb", SHA256, len(CONTENT))


def test_a_wheel_is_the_one_with_the_locked_digest() -> None:
    offer = [candidate("f" * 64), candidate(SHA256), candidate(SHA256, "other.whl")]
    assert place_wheel(WHEEL, LOCK, offer).url == offer[1].url


def test_an_index_without_digests_is_believed_by_the_name() -> None:
    assert place_wheel(WHEEL, LOCK, [candidate("")]).sha256 == SHA256


def test_a_wheel_of_the_same_name_and_another_digest_is_not_taken() -> None:
    with pytest.raises(FetchError, match=f"{WHEEL.file} with sha256 {SHA256}, but with") as caught:
        place_wheel(WHEEL, LOCK, [candidate("f" * 64)])
    assert caught.value.where == "locks/linux-arm64.txt"


def test_a_source_archive_is_located_beside_wheels(tmp_path: Path, store: Store) -> None:
    # The real uv again, on a folder that has a wheel of the same version as well: not that is
    # locked. Nothing in the archive could be run: it is none.
    (tmp_path / "index").mkdir()
    for name in ("idna-3.20.tar.gz", WHEEL.file):
        (tmp_path / "index" / name).write_bytes(CONTENT)
    source = Source(
        name="idna",
        version="3.20",
        sha256=SHA256,
        file="idna-3.20.tar.gz",
        size=len(CONTENT),
        wheels=(WHEEL.file,),
    )
    lock = tmp_path / "linux-arm64.txt"
    lock.write_text(f"idna==3.20 \\\n    --hash=sha256:{SHA256}\n")
    settings = PipSettings(find_links=(str(tmp_path / "index"),), no_index=True)
    indexes = Indexes(settings=settings, environment=uv_environment(settings, tmp_path / "uv", {}))
    locked = WheelLock(path=lock, platform="linux/arm64", wheels=(), sources=(source,))
    (item,) = locate_wheels([locked], store, indexes)
    assert (item.name, item.sha256) == (source.file, SHA256)
    assert item.url.endswith("/index/idna-3.20.tar.gz")


def test_a_wheel_that_no_index_has_is_named(tmp_path: Path, store: Store) -> None:
    lock = tmp_path / "linux-arm64.txt"
    lock.write_text(f"idna==3.20 \\\n    --hash=sha256:{SHA256}\n")
    locked = WheelLock(path=lock, platform="linux/arm64", wheels=(WHEEL,))
    # The real uv, which finds nothing since it may look nowhere.
    with pytest.raises(FetchError, match=r"do not have every locked wheel: .*idna"):
        locate_wheels([locked], store, NOWHERE)
