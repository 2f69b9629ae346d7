"""Interruptions of the real program: what is left at once, and that the next run completes."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import pytest

from builders import cli
from builders.engine import Engine, mounts
from builders.errors import CellsFailedError, StoreError
from builders.lock import debian
from builders.lock import wheels as wheel_lock
from builders.network.apt import DebianPackage
from tests.system import checkouts
from tests.system.checkouts import AMD64, Checkout
from tests.system.conftest import Own

pytestmark = pytest.mark.engine

CELL = "onnxruntime-fixture-768-linux-amd64"
SAID = "interrupted: nothing half-done is left"
A_FEW_SECONDS = 15
MOMENTS = {"build": "byte-code", "smoke": "waiting until the container is ready"}
"""What the program prints when a stage is in the middle of its work."""


@pytest.fixture(scope="module", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell's background jobs ignore Ctrl-C, and hand that on to what they start."""
    if signal.getsignal(SIGINT) == signal.SIG_IGN:
        signal.signal(SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def checkout(store: Path, private: Engine, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with a cache of its own, in which the cell has passed."""
    scratch = tmp_path_factory.mktemp("interrupted")
    checkouts.links(store, scratch / "cache" / "store")
    made = checkouts.copy(
        scratch / "checkout", scratch / "cache", checkouts.environment_of(private)
    )
    made.build(*AMD64)
    return made


def assert_nothing_is_left(checkout: Checkout, engine: Engine) -> None:
    checkout.processes_end()
    assert checkout.halves() == []
    assert checkouts.containers(engine.environment) == []
    mounted = mounts.mounted_below((checkout.root, checkout.cache))
    # The cache itself may be a mount of the test's; what a running engine mounts is its own.
    engines = checkout.cache / "engine"
    assert [
        point for point in mounted if point != checkout.cache and not point.is_relative_to(engines)
    ] == []


def assert_published(checkout: Checkout) -> None:
    """Every blob of the publication is whole, and the cell is among the images."""
    blobs = list((checkout.root / "dist" / "images" / "blobs" / "sha256").iterdir())
    assert blobs
    for blob in blobs:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert (checkout.root / "dist" / "verdicts" / f"{CELL}.json").exists()


def forget(checkout: Checkout, *kinds: str) -> None:
    for kind in kinds:
        shutil.rmtree(checkout.cache / "derived" / kind, ignore_errors=True)


@pytest.mark.parametrize("stage", MOMENTS)
def test_interrupted(checkout: Checkout, private: Engine, stage: str) -> None:
    """Three times in a row, in three ways; what completes in the end has had nothing before."""
    forget(checkout, *(["images"] if stage == "build" else []))
    fresh = ["--fresh"] if stage == "build" else []
    for number in (SIGINT, SIGTERM, SIGKILL):
        # One may have been complete, and kept, before a busy machine delivered the signal.
        forget(checkout, "verdicts")
        with checkout.running(*AMD64, *fresh) as run:
            run.until(MOMENTS[stage])
            run.signal(number)
            if number == SIGKILL:
                assert run.wait() == -SIGKILL
                checkout.processes_end()
            else:
                assert run.wait(A_FEW_SECONDS) == cli.INTERRUPTED
                assert SAID in run.lines
                assert_nothing_is_left(checkout, private)

    # As above.
    expected = ("1 passed", "1 unchanged") if stage == "smoke" else ("1 passed",)
    printed = checkout.build(*AMD64)
    assert any(ending in printed for ending in expected)
    assert_nothing_is_left(checkout, private)
    assert_published(checkout)


def test_ctrl_c_on_nox(checkout: Checkout, private: Engine) -> None:
    """The terminal tells nox and the orchestrator, which is given the time to clean up."""
    give_nox_an_environment(checkout)
    forget(checkout, "verdicts")
    argv = (sys.executable, "-m", "nox", "-s", "build-matrix", "--")
    with checkout.running(*AMD64, argv=argv) as run:
        run.until(MOMENTS["smoke"])
        run.signal_group(SIGINT)
        assert run.wait(A_FEW_SECONDS) != 0
        assert SAID in run.lines
    assert_nothing_is_left(checkout, private)


def give_nox_an_environment(checkout: Checkout) -> None:
    """Let nox take the environment that runs these tests for the one that it would install."""
    target = checkout.root / ".nox" / "equivec"
    target.mkdir(parents=True)
    for name in ("bin", "lib"):
        (target / name).symlink_to(Path(sys.prefix) / name)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", target)
    requirements = checkout.root / "builders" / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    (target / "requirements.sha256").write_text(digest)


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGKILL], ids=lambda number: number.name)
def test_interrupted_in_a_download(
    checkout: Checkout, private: Engine, store: Path, number: Signals
) -> None:
    lock = debian.read(checkout.root / "images" / "base", "linux/amd64")
    largest = max(lock.root, key=lambda package: package.size)
    stored = checkout.cache / "store" / largest.sha256[:2] / largest.sha256
    partial = checkout.cache / "partial" / largest.sha256
    stored.unlink(missing_ok=True)
    partial.unlink(missing_ok=True)
    with mirror(largest, store) as served:
        variables = {"EQUIVEC_DEBIAN_MIRROR": f"{served.url} {served.url}"}
        with checkout.running(*AMD64, variables=variables) as run:
            assert served.halfway.wait(30)
            until_it_has_bytes(partial)
            run.signal(number)
            expected = -SIGKILL if number == SIGKILL else cli.INTERRUPTED
            assert run.wait(A_FEW_SECONDS) == expected
        assert not stored.exists()
        assert 0 < partial.stat().st_size < largest.size
        assert_nothing_is_left(checkout, private)

        served.go_on.set()
        checkout.build(*AMD64, variables=variables)
    assert stored.stat().st_size == largest.size
    assert not partial.exists()


def until_it_has_bytes(partial: Path) -> None:
    """Wait until what the mirror has sent is on the disk: it is written in chunks."""
    deadline = time.monotonic() + 30
    while not (partial.exists() and partial.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Mirror:
    """A mirror that has one package, and stops in the middle of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.halfway = threading.Event()
        self.go_on = threading.Event()


@contextmanager
def mirror(package: DebianPackage, store: Path) -> Iterator[Mirror]:
    content = (store / package.sha256[:2] / package.sha256).read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != f"/{package.path}":
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            served.halfway.set()
            if served.go_on.wait(30):
                self.wfile.write(content[half:])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        served = Mirror(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield served
        finally:
            served.go_on.set()
            server.shutdown()
            thread.join()


def test_the_engine_dies_in_the_middle_of_a_build(
    store: Path, packages: Path, tmp_path: Path
) -> None:
    """The next run starts it again, as the first had started it."""
    cache = tmp_path / "cache"
    checkouts.links(store, cache / "store")
    checkouts.links(packages, cache / "engine" / "packages")
    checkout = checkouts.copy(tmp_path / "checkout", cache, {"EQUIVEC_ENGINE": "private"})
    own = Own(cache, cache / "engine" / "packages")
    try:
        with checkout.running(*AMD64) as run:
            run.until(MOMENTS["build"])
            own.kill("dockerd", "containerd")
            assert run.wait() == CellsFailedError.exit_code
            assert "base/Dockerfile failed" in run.output
        checkout.processes_end()
        assert checkout.halves() == []

        assert "1 passed" in checkout.build(*AMD64)
        assert_nothing_is_left(checkout, own.find())
        assert_published(checkout)
    finally:
        own.stop()
    assert own.traces() == []


def test_a_full_disk(store: Path, private: Engine, tmp_path: Path) -> None:
    """In a download, in what is made from it, and in what the builder writes."""
    cache = tmp_path / "cache"
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1G", "none", str(cache)], check=True)
    try:
        checkout = checkouts.copy(tmp_path / "checkout", cache, checkouts.environment_of(private))
        for name in needed(checkout):
            target = cache / "store" / name[:2] / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(store / name[:2] / name, target)
        package = max(
            debian.read(checkout.root / "images" / "base", "linux/amd64").root,
            key=lambda package: package.size,
        )
        stored = cache / "store" / package.sha256[:2] / package.sha256
        stored.unlink()
        with mirror(package, store) as served, room(cache, package.size // 2):
            served.go_on.set()
            variables = {"EQUIVEC_DEBIAN_MIRROR": f"{served.url} {served.url}"}
            said = checkout.build(*AMD64, status=StoreError.exit_code, variables=variables)
            assert "no space is left" in said
        assert not stored.exists()
        with mirror(package, store) as served:
            served.go_on.set()
            variables = {"EQUIVEC_DEBIAN_MIRROR": f"{served.url} {served.url}"}
            with room(cache, package.size + 10_000_000):
                failed = CellsFailedError.exit_code
                assert "no space is left" in checkout.build(
                    *AMD64, status=failed, variables=variables
                )
        assert_nothing_is_left(checkout, private)
        assert "1 passed" in checkout.build(*AMD64)

        forget(checkout, "images", "verdicts")
        with room(cache, 20_000_000):
            assert "no space left" in checkout.build(*AMD64, status=CellsFailedError.exit_code)
        assert_nothing_is_left(checkout, private)
        assert "1 passed" in checkout.build(*AMD64)
        assert_nothing_is_left(checkout, private)
        assert_published(checkout)
    finally:
        subprocess.run(["umount", str(cache)], check=True)


def needed(checkout: Checkout) -> list[str]:
    """The digests of what the cell is made from: a user's store may hold gigabytes."""
    images = checkout.root / "images"
    packages = debian.read(images / "base", "linux/amd64").packages
    wheels = wheel_lock.read(images / "onnxruntime", "linux/amd64").files
    return [*(package.sha256 for package in packages), *wheels.values()]


@contextmanager
def room(directory: Path, size: int) -> Iterator[None]:
    """Leave so many bytes free on a directory's file system."""
    found = os.statvfs(directory)
    filler = directory / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - size)
    try:
        yield
    finally:
        filler.unlink()
