"""The baseline: a plain Dockerfile that runs dpkg and pip on the target platform, emulated."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import model, rootfs
from builders.bench.anew import Workshop
from builders.engine import Engine
from builders.errors import ProcessError
from builders.lock import debian as debian_lock
from builders.lock import wheels as wheel_lock
from builders.network import apt
from builders.network.apt import Index
from builders.network.mirrors import mirrors
from builders.plan import Cell
from builders.process import run
from builders.store import link_or_copy

TIME_LIMIT = 15 * 60.0
"""Seconds after which the baseline is cut off: the ratio is then at least what it has shown."""

DOCKERFILE = Path(__file__).with_name("emulated.Dockerfile")

TOOLS = (
    *("base-passwd", "bash", "coreutils", "dash", "debconf", "debianutils", "diffutils", "dpkg"),
    *("findutils", "grep", "gzip", "libacl1", "libattr1", "libcrypt1", "libgmp10", "libmd0"),
    *("libpcre2-8-0", "libselinux1", "libtinfo6", "libzstd1", "openssl", "perl-base"),
    *("python3-distutils", "python3-lib2to3", "python3-pip", "python3-pkg-resources"),
    *("python3-setuptools", "python3-wheel", "sed", "tar"),
)
"""bookworm's packages that dpkg, the maintainer scripts and pip need beside the locked ones."""

PRESENT = (
    *("base-files", "gcc-12-base", "libbz2-1.0", "libc-bin", "libc6", "libgcc-s1", "liblzma5"),
    *("libstdc++6", "libuuid1", "tzdata", "zlib1g"),
)
"""Locked packages that a Debian image to start from has installed already: dpkg need not."""

PRUNE = (
    "etc/rmt",  # a link to what tar's maintainer script would make
    "usr/lib/ssl/*",  # made for every root file system
    "usr/share/bash-completion/*",
    "usr/share/doc/*",
    "usr/share/man/*",
)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A build that is ready to be timed.

    Attributes:
        platform: The target.
        directory: The main build context.
        contexts: The named ones.
    """

    platform: str
    directory: Path
    contexts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """How long the baseline took, or how long until it was cut off."""

    seconds: float
    finished: bool


def prepare(shop: Workshop, cell: Cell, scratch: Path, note: Callable[[str], None]) -> Baseline:
    """Gather what the baseline is built from, in a directory that does not exist yet.

    Raises:
        FetchError: The tools' packages cannot be had.
    """
    project, lock = shop.project, shop.debian.base[cell.platform]
    debs, settings = scratch / "debs", scratch / "lock"
    for directory in (debs, settings):
        directory.mkdir(parents=True)
    for package in (package for package in lock.root if package.name not in PRESENT):
        link_or_copy(project.store.path(package.sha256), debs / apt.deb_name(package))
    wheels = wheel_lock.read(project.images / cell.backend, cell.platform)
    (settings / "requirements.txt").write_bytes(wheels.path.read_bytes())
    note("downloading the baseline's tools")
    index = Index(
        directory=scratch / "apt",
        mirrors=mirrors(),
        suite=debian_lock.SUITE,
        architecture=cell.platform.partition("/")[2],
    )
    index.update()
    tools = index.download(index.show(TOOLS), scratch / "tools")
    start = rootfs.write_base_layout(
        [*(project.store.path(package.sha256) for package in lock.root), *tools.values()],
        platform=cell.platform,
        prune=PRUNE,
        epoch=project.matrix.epoch,
        directory=scratch / "start",
    )
    return Baseline(
        platform=cell.platform,
        directory=project.images / cell.backend,
        contexts={
            "debs": str(debs),
            "lock": str(settings),
            "model": str(model.directory(project, cell.model, cell.format).path),
            "service": str(project.images / "service"),
            "start": f"oci-layout://{scratch / 'start'}@{start}",
            "wheels": str(project.store.gathered("wheels", wheels.files)),
        },
    )


def time_build(
    baseline: Baseline, used: Engine, destination: Path, limit: float = TIME_LIMIT
) -> Timed:
    """Build the baseline, and say how long that took.

    Raises:
        ProcessError: It failed.
    """
    begun = time.perf_counter()
    try:
        run(command(baseline, destination), env=used.environment, timeout=limit)
    except ProcessError:
        seconds = time.perf_counter() - begun
        if seconds < limit:
            raise
        return Timed(seconds=seconds, finished=False)
    return Timed(seconds=time.perf_counter() - begun, finished=True)


def command(baseline: Baseline, destination: Path) -> tuple[str, ...]:
    """Return the argument list of the baseline's build."""
    words = [
        *("docker", "buildx", "build"),
        *("--platform", baseline.platform),
        *("--file", str(DOCKERFILE)),
        *("--network", "none"),
        *("--provenance", "false"),
        *("--progress", "plain"),
        "--no-cache",
        *("--output", f"type=oci,tar=false,dest={destination}"),
    ]
    for name, location in sorted(baseline.contexts.items()):
        words += ["--build-context", f"{name}={location}"]
    return (*words, str(baseline.directory))
