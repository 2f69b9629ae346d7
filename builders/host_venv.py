"""Host environments: a backend's locked wheels, installed on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from uv import find_uv_bin

from builders import host, inputs
from builders.errors import ProcessError, ReferenceVectorsError
from builders.files import digest_of
from builders.lock import wheels as wheel_lock
from builders.process import run
from builders.project import Project

VERSION = (3, 11)
"""The images' Python: the wheels are locked for it."""

_SECONDS = 600.0
_KEPT_VARIABLES = ("HOME", "PATH", "TMPDIR")


def python(project: Project, backend: str) -> Path:
    """Return the interpreter of an environment that holds a backend's wheels for this host.

    It is made once for each lock and interpreter, without network: the wheels are in the store.

    Raises:
        LockError: There is no lock for this host's platform.
        ReferenceVectorsError: No set of wheels exists for it, or there is no Python 3.11.
        ProcessError: uv failed.
    """
    lock = wheel_lock.read(project.images / backend, host.current())
    if lock.no_solution:
        raise ReferenceVectorsError(
            f"{backend} cannot be installed on {lock.platform}: {lock.no_solution}",
            where=str(lock.path),
            remedy="make the reference vectors on another host",
        )
    wheels = inputs.wheels(project, backend, lock.platform)
    base = interpreter()

    def make(directory: Path) -> None:
        environment = uv_environment(os.environ)
        run(venv_argv(base, directory), env=environment, timeout=_SECONDS)
        run(
            install_argv(directory, wheels=wheels.directory, requirements=lock.path),
            env=environment,
            timeout=_SECONDS,
        )

    key = digest_of({"lock": wheels.lock, "python": str(base)})
    return _python_of(project.store.derived("hosts", key.removeprefix("sha256:"), make))


def interpreter(running: tuple[int, ...] = sys.version_info[:2]) -> Path:
    """Return a Python 3.11 of this machine: the one that runs this program, or one that uv finds.

    Args:
        running: The version that runs this program.

    Raises:
        ReferenceVectorsError: There is none.
    """
    if running == VERSION:
        # Not that of an environment, which may be deleted.
        return Path(sys.base_prefix, "bin", "python3.11")
    try:
        found = run(find_argv(), env=uv_environment(os.environ), timeout=_SECONDS)
    except ProcessError as error:
        raise ReferenceVectorsError(
            "this machine has no Python 3.11, which is the images' Python",
            remedy="install it (`uv python install 3.11` is one way)",
        ) from error
    return Path(found.stdout.strip())


def find_argv() -> tuple[str, ...]:
    """Return the argument list that prints the path of a Python 3.11."""
    version = ".".join(map(str, VERSION))
    return (
        *(find_uv_bin(), "python", "find", version),
        *("--system", "--no-project", "--no-config", "--no-python-downloads", "--offline"),
    )


def venv_argv(base: Path, directory: Path) -> tuple[str, ...]:
    """Return the argument list that makes an environment in an empty directory."""
    return (
        *(find_uv_bin(), "venv", "--python", str(base)),
        *("--no-project", "--no-config", "--no-python-downloads", "--offline"),
        str(directory),
    )


def install_argv(directory: Path, *, wheels: Path, requirements: Path) -> tuple[str, ...]:
    """Return the argument list that installs locked wheels, and only those, from a directory.

    Args:
        directory: The environment.
        wheels: Holds every wheel that the lock names.
        requirements: The lock: hashed requirements.
    """
    return (
        *(find_uv_bin(), "pip", "install", "--python", str(_python_of(directory))),
        *("--offline", "--no-index", "--find-links", str(wheels)),
        *("--no-deps", "--require-hashes", "--requirements", str(requirements)),
        # The wheels are in the store: no second copy of them is kept.
        *("--no-cache", "--no-config", "--quiet"),
    )


def uv_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return uv's environment: nothing of a user's own settings changes what is installed."""
    return {name: environment[name] for name in _KEPT_VARIABLES if name in environment}


def _python_of(directory: Path) -> Path:
    return directory / "bin" / "python"
