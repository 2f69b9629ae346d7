"""Engines and images for the system tests, each made once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import engine, inputs, project
from builders.engine import Engine, binfmt, mounts
from builders.engine import configuration as engine_config
from builders.engine import private as private_engine
from builders.engine import remains as engine_remains
from builders.engine.configuration import DAEMONS, Daemon, Places
from builders.formats import layout
from builders.formats.layout import Layout
from builders.inputs import Needs
from builders.network.apt import Index
from builders.network.mirrors import mirrors
from builders.process import run
from builders.store import cache_directory

DOCKERFILE = """\
FROM scratch
COPY bin/busybox /bin/busybox
USER 65532:65532
ENTRYPOINT ["/bin/busybox", "sleep", "1000"]
"""


FIRST, LAST = ("test_build_matrix",), ("test_llama_cpp", "test_processors", "test_distributed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what compiles wheels, for most of its time; end with what needs them.

    Meanwhile another process takes the files between them.
    """

    def order(item: pytest.Item) -> int:
        return (item.path.stem in LAST) - (item.path.stem in FIRST)

    items.sort(key=order)


@pytest.fixture(autouse=True, scope="session")
def root_on_linux() -> None:
    """Fail, not skip, where a private engine cannot be: what is not tested must be seen."""
    if sys.platform == "linux" and os.geteuid() != 0:
        pytest.fail("the system tests make private engines, which needs root")


@pytest.fixture(scope="session")
def packages() -> Path:
    """Unpacked programs of the user's own cache, so that they are downloaded once."""
    cache = cache_directory()
    private_engine.prepare(cache, note=print)
    return engine_config.places(cache).packages


@pytest.fixture(scope="session")
def store() -> Path:
    """A store that holds what one native cell needs: the user's own."""
    checkout = project.load()
    needs = Needs(
        roots=("linux/amd64",),
        wheels=(("onnxruntime", "linux/amd64"),),
        build_platform="linux/amd64",
    )
    inputs.fetch(checkout, needs, progress=lambda *_: None)
    return checkout.store.cache / "store"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own."""
    return tmp_path_factory.mktemp("cache")


class Own:
    """An engine of one test's own, with what it takes to look into it."""

    def __init__(self, cache: Path, packages: Path) -> None:
        self.cache = cache
        self.packages = packages
        self.places: Places = engine_config.places(cache, packages=packages)

    def find(self) -> Engine:
        return engine.find(self.cache, named="private", note=print, packages=self.packages)

    def stop(self) -> bool:
        return engine.stop(self.cache, packages=self.packages)

    def status(self) -> engine.Status:
        return engine.status(self.cache, named="private", packages=self.packages)

    def pids(self) -> dict[Daemon, int]:
        return {daemon: int(self.places.pid(daemon).read_text()) for daemon in DAEMONS}

    def kill(self, *daemons: Daemon) -> None:
        """Kill daemons, and wait until they are dead."""
        engine_remains.end([self.pids()[daemon] for daemon in daemons])

    def traces(self) -> list[str]:
        """What there is of it outside of its cache's files."""
        points = mounts.mounted_below((self.places.root, self.places.run))
        entry = binfmt.DIRECTORY / f"equivec-{self.places.name}"
        return [
            *(f"process {pid}" for pid in engine_remains.processes(self.places)),
            *(f"mount {point}" for point in points),
            *(str(path) for path in (entry, self.places.run) if path.exists()),
        ]


@pytest.fixture
def own(tmp_path: Path, packages: Path) -> Iterator[Own]:
    fresh = Own(tmp_path / "cache", packages)
    try:
        yield fresh
    finally:
        fresh.stop()


@pytest.fixture(scope="session")
def private(cache: Path, packages: Path) -> Iterator[Engine]:
    """A private engine of the tests' own, which runs until they end."""
    try:
        yield engine.find(cache, named="private", note=print, packages=packages)
    finally:
        engine.stop(cache, packages=packages)


@dataclass(frozen=True, kw_only=True)
class Images:
    """An image of busybox for the engine's own platform, and one for a foreign one."""

    native: Layout
    foreign: Layout


@pytest.fixture(scope="session")
def images(private: Engine, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Images made of Debian's packages, fetched by a private apt."""
    directory = tmp_path_factory.mktemp("busybox")
    other = {"linux/amd64": "linux/arm64", "linux/arm64": "linux/amd64"}[private.native]
    return Images(
        native=busybox(private, directory, private.native),
        foreign=busybox(private, directory, other),
    )


def busybox(built_by: Engine, directory: Path, platform: str) -> Layout:
    architecture = platform.partition("/")[2]
    index = Index(
        directory=directory / f"apt-{architecture}",
        mirrors=mirrors(),
        suite="bookworm",
        architecture=architecture,
    )
    index.update()
    (deb,) = index.download(index.show(["busybox-static"]), directory / "debs").values()
    context = directory / architecture
    run(["dpkg-deb", "--extract", deb, context], timeout=60)
    (context / "Dockerfile").write_text(DOCKERFILE)
    destination = directory / f"layout-{architecture}"
    output = f"type=oci,tar=false,name=equivec/busybox:test,dest={destination}"
    run(
        [
            *("docker", "buildx", "build", "--platform", platform, "--network", "none"),
            *("--provenance", "false", "--output", output, context),
        ],
        env=built_by.environment,
        timeout=120,
    )
    layout.remove_ingest(destination)
    return layout.read(destination)
