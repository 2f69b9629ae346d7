"""The private engine: a Docker daemon of Equivec's own, beside whatever the system has.

dockerd, containerd, runc, buildx and qemu come from the distribution's packages; what they write is
in the cache and in one directory below /run. They have no networking. They outlive the process that
started them, until they are stopped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders import host
from builders.engine import binfmt
from builders.engine import configuration as engine_config
from builders.engine import remains as engine_remains
from builders.engine.configuration import DAEMONS, Daemon, Places
from builders.engine.connection import connect, engine_errors
from builders.engine.packages import Programs, Recipe, existing, obtain, recipe
from builders.errors import EngineError
from builders.files import write_atomically
from builders.network.mirrors import os_release
from builders.process import run
from builders.store import Store

READY_SECONDS = 60.0
"""How long a daemon may take to answer. It takes one or two seconds on an idle machine."""

_ANSWER_SECONDS = 5
_POLL_SECONDS = 0.05
_COMMAND_SECONDS = 60.0
_LOG_LINES = 20
_BINFMT_MOUNTED = "binfmt-mounted"


@dataclass(frozen=True, kw_only=True)
class PrivateEngine:
    """A private engine that answers.

    Attributes:
        environment: The whole environment in which `docker` and `docker buildx` use it.
        versions: Of its packages.
    """

    environment: Mapping[str, str]
    versions: Mapping[str, str]


def reasons_against() -> tuple[str, ...]:
    """Say why no private engine can be made here; nothing if it can."""
    if sys.platform != "linux":
        return ("a private engine needs Linux",)
    reasons = []
    try:
        _recipe()
    except EngineError as error:
        reasons.append(error.problem)
    if os.geteuid() != 0:
        reasons.append("a private engine needs root")
    return tuple(reasons)


def running(cache: Path, *, packages: Path | None = None) -> PrivateEngine | None:
    """Return the private engine of a cache if it answers; start nothing."""
    places = engine_config.places(cache, packages=packages)
    programs = existing(places.packages, _recipe())
    return _engine(places, programs) if programs is not None and answers(places) else None


def prepare(cache: Path, *, note: Callable[[str], None]) -> None:
    """Download the programs into a cache; nothing is started.

    Raises:
        EngineError: No engine can be made here.
        FetchError: They cannot be downloaded.
    """
    with Store(cache).exclusive("engine"):
        obtain(engine_config.places(cache).packages, _recipe(), note=note)


def start(
    cache: Path, *, note: Callable[[str], None], packages: Path | None = None
) -> PrivateEngine:
    """Return the private engine of a cache; start it if it does not answer.

    Args:
        cache: The cache directory.
        note: Told what takes time.
        packages: Where unpacked programs are kept; in the cache if None.

    Raises:
        EngineError: It cannot be made here, or a daemon did not start; its log's end is shown.
        FetchError: Its packages cannot be downloaded.
    """
    places = engine_config.places(cache, packages=packages)
    with Store(cache).exclusive("engine"):
        programs = obtain(places.packages, _recipe(), note=note)
        if answers(places):
            _emulate(places, programs, note)
            return _engine(places, programs)
        engine_remains.clear(places)
        note("starting containerd and dockerd")
        try:
            _configure(places, programs)
            _emulate(places, programs, note)
            for daemon in DAEMONS:
                _launch(places, daemon, programs)
        except BaseException:
            _bring_down(places)
            raise
    return _engine(places, programs)


def stop(cache: Path, *, packages: Path | None = None) -> bool:
    """End the private engine's containers and daemons; return whether there was anything to end.

    Its images and packages stay in the cache; nothing stays mounted, registered or running.
    """
    places = engine_config.places(cache, packages=packages)
    if not places.run.exists():
        return False
    with Store(cache).exclusive("engine"):
        _bring_down(places)
    return True


def answers(places: Places) -> bool:
    """Say whether the engine can be used.

    Without its containerd, dockerd would still answer, and do nothing else.
    """
    if not places.run.exists() or not all(_runs(places, daemon) for daemon in DAEMONS):
        return False
    try:
        with connect({"DOCKER_HOST": places.host}, timeout=_ANSWER_SECONDS):
            return True
    except EngineError:
        return False


def _configure(places: Places, programs: Programs) -> None:
    """Write every configuration file, and make the directories that must exist."""
    places.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine_remains.note_foreign(places)
    texts = {
        places.config("containerd"): engine_config.containerd_toml(places),
        places.config("dockerd"): engine_config.dockerd_json(places, programs.bin / "tini-static"),
        places.docker_config / "config.json": engine_config.docker_config_json(programs.bin),
    }
    for path, text in texts.items():
        write_atomically(path, text.encode())


def _emulate(places: Places, programs: Programs, note: Callable[[str], None]) -> None:
    """Let the kernel run foreign images; without that, the engine still builds them."""
    emulator = binfmt.FOREIGN[_architecture()]
    if binfmt.mount():
        (places.run / _BINFMT_MOUNTED).touch()
    try:
        binfmt.register(_entry(places), emulator, programs.bin / emulator.program)
    except EngineError as error:
        note(f"foreign images cannot be run here: {error.problem}")


def _launch(places: Places, daemon: Daemon, programs: Programs) -> None:
    """Start a daemon and wait until it answers.

    Raises:
        EngineError: It ended, or does not answer in time.
    """
    log = places.log(daemon)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    run(
        engine_config.daemon_argv(places, daemon, programs.bin / daemon),
        env=engine_config.daemon_environment(os.environ, programs.bin),
        timeout=_COMMAND_SECONDS,
    )
    deadline = time.monotonic() + READY_SECONDS
    while not _ready(places, daemon):
        if not _runs(places, daemon):
            raise _failure(places, daemon, "ended at once")
        if time.monotonic() > deadline:
            raise _failure(places, daemon, f"does not answer after {READY_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def _ready(places: Places, daemon: Daemon) -> bool:
    """Say whether a daemon can be used: dockerd itself waits for containerd's first answer."""
    if daemon == "containerd":
        return (places.run / "containerd.sock").is_socket()
    return answers(places)


def _runs(places: Places, daemon: Daemon) -> bool:
    """Say whether the process in the pid file exists; before the file does, it is starting."""
    try:
        pid = int(places.pid(daemon).read_text())
    except (FileNotFoundError, ValueError):
        return True
    return engine_remains.lives(pid)


def _failure(places: Places, daemon: Daemon, problem: str) -> EngineError:
    log = places.log(daemon)
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = "\n".join(f"  | {line}" for line in lines[-_LOG_LINES:])
    return EngineError(
        f"the private engine's {daemon} {problem}\n{tail}",
        where=str(log),
        remedy="read the log's end above; `nox -s engine -- stop` clears what is left",
    )


def _bring_down(places: Places) -> None:
    """End everything in order, then whatever did not obey."""
    # No program is run here: after Ctrl-C none can be.
    _end_containers(places)
    for daemon in reversed(DAEMONS):
        engine_remains.terminate(places, daemon)
    engine_remains.clear(places)
    binfmt.unregister(_entry(places))
    if (places.run / _BINFMT_MOUNTED).exists():
        binfmt.unmount()
    engine_remains.remove_foreign(places)
    with engine_errors(f"remove {places.run}"):
        shutil.rmtree(places.run)
    with contextlib.suppress(OSError):  # Another engine is in it.
        places.run.parent.rmdir()


def _end_containers(places: Places) -> None:
    """Remove all containers, so that none is recorded as running when the engine starts again."""
    if not answers(places):
        return
    # What does not obey is killed with the daemons.
    with (
        contextlib.suppress(EngineError),
        connect({"DOCKER_HOST": places.host}) as client,
        engine_errors("remove containers"),
    ):
        for container in client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)


def _engine(places: Places, programs: Programs) -> PrivateEngine:
    return PrivateEngine(
        environment=engine_config.client_environment(places, os.environ, programs.bin),
        versions=programs.versions,
    )


def _recipe() -> Recipe:
    """Return what makes an engine on this host.

    Raises:
        EngineError: Nothing does.
    """
    architecture = _architecture()
    if architecture not in binfmt.FOREIGN:
        raise EngineError(
            f"no private engine can be made on {architecture}",
            remedy="use a machine of linux/amd64 or linux/arm64",
        )
    return recipe(os_release(), architecture=architecture)


def _architecture() -> str:
    """Return Debian's name of this machine's architecture."""
    return host.current().partition("/")[2]


def _entry(places: Places) -> str:
    """Return the name under which the emulator is registered."""
    return f"equivec-{places.name}"
