"""Engines and images for the system tests, each made once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import engine, engine_config, layout, private_engine
from builders.apt import Index
from builders.engine import Engine
from builders.layout import Layout
from builders.mirrors import mirrors
from builders.process import run
from builders.store import cache_directory

DOCKERFILE = """\
FROM scratch
COPY bin/busybox /bin/busybox
USER 65532:65532
ENTRYPOINT ["/bin/busybox", "sleep", "1000"]
"""


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
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own."""
    return tmp_path_factory.mktemp("cache")


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
