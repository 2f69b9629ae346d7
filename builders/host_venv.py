"""Host environments: sets of wheels, installed on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from uv import find_uv_bin

from builders.errors import ProcessError, ReferenceVectorsError
from builders.files import digest_of
from builders.lock.wheels import Wheel
from builders.process import run
from builders.store import Store

VERSION = (3, 11)
"""The images' Python: the wheels are locked for it."""

_SECONDS = 600.0
_KEPT_VARIABLES = ("HOME", "PATH", "TMPDIR")


def python(store: Store, wheels: Sequence[Wheel], directory: Path) -> Path:
    """Return the interpreter of an environment that holds wheels for this host, and only those.

    It is made once for each set of wheels and interpreter, without network.

    Args:
        store: Where it is kept.
        wheels: What it holds.
        directory: Where each wheel is, under its own file name.

    Raises:
        ReferenceVectorsError: There is no Python 3.11.
        ProcessError: uv failed.
    """
    base = interpreter()

    def make(place: Path) -> None:
        environment = uv_environment(os.environ)
        run(venv_argv(base, place), env=environment, timeout=_SECONDS)
        requirements = place / "requirements.txt"
        requirements.write_text(hashed_requirements(wheels), encoding="utf-8")
        run(
            install_argv(place, wheels=directory, requirements=requirements),
            env=environment,
            timeout=_SECONDS,
        )

    key = digest_of({"wheels": sorted(wheel.sha256 for wheel in wheels), "python": str(base)})
    return program(store.derived("hosts", key.removeprefix("sha256:"), make))


def hashed_requirements(wheels: Sequence[Wheel]) -> str:
    """Return wheels as a requirements file that pins the sha256 of each."""
    return "".join(
        f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels
    )


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
        requirements: Every one of them, with its sha256.
    """
    return (
        *(find_uv_bin(), "pip", "install", "--python", str(program(directory))),
        *("--offline", "--no-index", "--find-links", str(wheels)),
        *("--no-deps", "--require-hashes", "--requirements", str(requirements)),
        # The wheels are in the store: no second copy of them is kept.
        *("--no-cache", "--no-config", "--quiet"),
    )


def uv_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return uv's environment: nothing of a user's own settings changes what is installed."""
    return {name: environment[name] for name in _KEPT_VARIABLES if name in environment}


def site(python: Path) -> Path:
    """Return where the wheels of an environment are, given its interpreter."""
    return python.parent.parent / "lib" / f"python{'.'.join(map(str, VERSION))}" / "site-packages"


def program(directory: Path) -> Path:
    """Return the interpreter of an environment, given its directory."""
    return directory / "bin" / "python"
