"""The Docker engine that builds and runs: named, the system's own, or a private one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from docker import DockerClient

from builders.engine import private as private_engine
from builders.engine.connection import connect, engine_errors
from builders.engine.probe import probe
from builders.errors import EngineError, ProcessError
from builders.files import digest_of
from builders.host import platform_of
from builders.process import run
from builders.store import Store

ENGINE_VARIABLE = "EQUIVEC_ENGINE"
"""Overrides `engine` of matrix.yaml."""

AUTO = "auto"
PRIVATE = "private"

PROBE_VERSION = 1
"""Counts up when the probe asks for more: engines that passed an older one are asked again."""

_COMMAND_SECONDS = 60.0
_QUICK_SECONDS = 10
_BUILDX_QUESTIONS = ("version", "inspect")

Kind = Literal["named", "system", "private"]


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What an engine's parts call themselves; an empty string where a part does not say.

    `buildkit` is the Docker version that holds it where BuildKit does not know its own.
    """

    docker: str
    buildx: str
    buildkit: str
    containerd: str
    runc: str
    qemu: str


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine that can do what is needed.

    Attributes:
        kind: How it was found.
        host: Its address, as DOCKER_HOST.
        environment: The whole environment for `docker` and `docker buildx`.
        native: The platform of its machine, as linux/amd64.
        platforms: Those whose images it runs, natively or emulated.
        versions: Of its parts.
    """

    kind: Kind
    host: str
    environment: Mapping[str, str]
    native: str
    platforms: tuple[str, ...]
    versions: Versions

    @property
    def described(self) -> Mapping[str, str]:
        """Its kind, and the versions of its parts that say one."""
        said = {name: version for name, version in asdict(self.versions).items() if version}
        return {"kind": self.kind, **said}


@dataclass(frozen=True, kw_only=True)
class Status:
    """Which engine is there, without starting one.

    Attributes:
        engine: What a build would use now; None if it would start the private one, or fail.
        private: Whether this cache's private engine runs.
        reason: Why the system's engine is not used; empty if it is.
    """

    engine: Engine | None
    private: bool
    reason: str


def find(
    cache: Path,
    *,
    named: str = AUTO,
    note: Callable[[str], None],
    packages: Path | None = None,
) -> Engine:
    """Return a usable engine; start the private one if there is no other.

    Args:
        cache: The cache directory.
        named: `auto`, `private`, or a DOCKER_HOST url. EQUIVEC_ENGINE comes before it.
        note: Told what takes time.
        packages: Where the private engine's programs are kept; in the cache if None.

    Raises:
        EngineError: There is none; says what to install or enable on this system.
        FetchError: The private engine's packages cannot be downloaded.
    """
    wanted = _wanted(named)
    if wanted not in (AUTO, PRIVATE):
        return _probed("named", {**os.environ, "DOCKER_HOST": wanted}, cache, note)
    reason = ""
    if wanted == AUTO:
        try:
            return _system(cache, note)
        except EngineError as error:
            reason = error.problem
    against = private_engine.reasons_against()
    if against:
        raise EngineError(
            "; ".join(filter(None, (reason, *against))),
            where="no usable Docker engine",
            remedy=remedy(sys.platform),
        )
    started = private_engine.start(cache, note=note, packages=packages)
    return _probed("private", started.environment, cache, note, started.versions)


def status(cache: Path, *, named: str = AUTO, packages: Path | None = None) -> Status:
    """Return which engine is there; nothing is started or stopped.

    Raises:
        EngineError: The one that is named cannot be used.
    """
    wanted = _wanted(named)
    possible = not private_engine.reasons_against()
    private = private_engine.running(cache, packages=packages) if possible else None
    running = private is not None
    if wanted not in (AUTO, PRIVATE):
        environment = {**os.environ, "DOCKER_HOST": wanted}
        return Status(
            engine=_probed("named", environment, cache, _silent), private=running, reason=""
        )
    reason = ""
    if wanted == AUTO:
        try:
            return Status(engine=_system(cache, _silent), private=running, reason="")
        except EngineError as error:
            reason = error.problem
    engine = None
    if private is not None:
        engine = _probed("private", private.environment, cache, _silent, private.versions)
    return Status(engine=engine, private=running, reason=reason)


def stop(cache: Path, *, packages: Path | None = None) -> bool:
    """Stop this cache's private engine; return whether there was anything to stop."""
    return private_engine.stop(cache, packages=packages)


def remedy(system: str) -> str:
    """Say what makes an engine usable on a system (`sys.platform`)."""
    if system == "darwin":
        return (
            "install Docker Desktop 4.34 or newer and switch on Settings, General, Use containerd"
            " for pulling and storing images"
        )
    return (
        "run as root on Debian 12, Debian 13 or Ubuntu 24.04, where a private engine is made; or"
        " install Docker 26 or newer with buildx 0.13 or newer, start it, and set"
        ' "features": {"containerd-snapshotter": true} in /etc/docker/daemon.json'
    )


def parse_builder(text: str) -> tuple[str, tuple[str, ...]]:
    """Read `docker buildx inspect`: BuildKit's version, and the platforms that it can run.

    It says a platform only after it has executed a program for it. Variants such as linux/amd64/v3
    are passed over.
    """
    version = ""
    platforms: dict[str, None] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "BuildKit version":
            version = value.strip()
        if key.strip() == "Platforms":
            names = (name.strip().rstrip("*") for name in value.split(","))
            platforms |= dict.fromkeys(name for name in names if name.count("/") == 1)
    return version, tuple(platforms)


def _system(cache: Path, note: Callable[[str], None]) -> Engine:
    """Return the engine that `docker` uses on this system.

    Raises:
        EngineError: There is none, or it cannot do what is needed.
    """
    argv = ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    try:
        host = run(argv, timeout=_COMMAND_SECONDS).stdout.strip()
    except ProcessError as error:
        raise EngineError("no Docker command line is installed") from error
    return _probed("system", {**os.environ, "DOCKER_HOST": host}, cache, note)


def _probed(
    kind: Kind,
    environment: Mapping[str, str],
    cache: Path,
    note: Callable[[str], None],
    packages: Mapping[str, str] | None = None,
) -> Engine:
    """Describe an engine, and probe it unless the same one passed before.

    Raises:
        EngineError: It does not answer, or cannot do what is needed.
    """
    # Named, or a builder that the user chose for other work would be taken.
    environment = {**environment, "BUILDX_BUILDER": "default"}
    with connect(environment, timeout=_QUICK_SECONDS) as client:
        engine, identity = _described(kind, environment, client, packages or {})

    def make(directory: Path) -> None:
        note(f"probing {engine.host}")
        with connect(environment) as patient:
            probe(patient, environment, platform=engine.native, directory=directory)

    key = digest_of([PROBE_VERSION, identity, engine.versions.docker, engine.versions.buildx])
    Store(cache).derived("probes", key.removeprefix("sha256:"), make)
    return engine


def _described(
    kind: Kind, environment: Mapping[str, str], client: DockerClient, packages: Mapping[str, str]
) -> tuple[Engine, str]:
    """Return an engine, and the identity that it gives itself."""
    with engine_errors("ask the engine what it is"):
        description = client.info()
        version = client.version()
    with ThreadPoolExecutor() as threads:
        buildx, builder = threads.map(lambda word: _buildx(word, environment), _BUILDX_QUESTIONS)
    buildkit, platforms = parse_builder(builder)
    parts = {part["Name"]: part["Version"] for part in version.get("Components", ())}
    native = platform_of(description["OSType"], description["Architecture"])
    engine = Engine(
        kind=kind,
        host=environment["DOCKER_HOST"],
        environment=environment,
        native=native,
        platforms=tuple(dict.fromkeys((native, *platforms))),
        versions=Versions(
            docker=version["Version"],
            buildx=" ".join(buildx.split()[1:]),
            buildkit=f"docker {version['Version']}" if "unknown" in buildkit else buildkit,
            containerd=parts.get("containerd", ""),
            runc=parts.get("runc", ""),
            qemu=packages.get("qemu-user", packages.get("qemu-user-static", "")),
        ),
    )
    return engine, str(description["ID"])


def _buildx(word: str, environment: Mapping[str, str]) -> str:
    """Return what `docker buildx <word>` prints."""
    try:
        return run(("docker", "buildx", word), env=environment, timeout=_COMMAND_SECONDS).stdout
    except ProcessError as error:
        raise EngineError(
            f"docker buildx cannot be used: {error.problem}", remedy="install docker-buildx"
        ) from error


def _wanted(named: str) -> str:
    return os.environ.get(ENGINE_VARIABLE) or named or AUTO


def _silent(_line: str) -> None:
    """Say nothing."""
