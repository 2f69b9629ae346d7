"""A wheel compiled on this machine for this machine, where no stage builds one (macOS).

It is from the same source archive as the images' wheels, with the recipe's settings for a host. It
never goes into an image.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from uv import find_uv_bin

from builders import host, host_venv
from builders.errors import BuildError, ProcessError
from builders.files import digest_of
from builders.lock import wheels as wheel_lock
from builders.lock.wheels import Source, WheelLock
from builders.process import run
from builders.project import Project
from builders.wheelhouse import recipe as recipes
from builders.wheelhouse.recipe import WheelRecipe

TIME_LIMIT = 3600.0


def built(project: Project, backend: str, source: Source, *, note: Callable[[str], None]) -> Path:
    """Return the wheel of a source archive for this host, built unless it was built before.

    Raises:
        LockError: A lock is missing or malformed.
        BuildError: It does not compile.
    """
    recipe = recipes.read(project.images / backend, source.name)
    platform = host.current()
    requirements = wheel_lock.read(recipe.directory, platform)
    key = digest_of(
        {
            "platform": platform,
            "processor": host.processor(),
            "python": str(host_venv.interpreter()),
            "recipe": recipe.digest,
            "requirements": requirements.digest,
            "source": source.sha256,
        }
    )

    def make(directory: Path) -> None:
        note(f"compiling {source.name} {source.version} for this host")
        compile_wheel(project, recipe, source, requirements, directory)

    directory = project.store.derived("host-wheels", key.removeprefix("sha256:"), make)
    return next(directory.glob("*.whl"))


def compile_wheel(
    project: Project, recipe: WheelRecipe, source: Source, requirements: WheelLock, out: Path
) -> None:
    """Compile a source archive by this machine's compilers, for this machine.

    Args:
        project: The checkout, with all inputs in its store.
        recipe: Its settings for a host are handed to the build backend.
        source: The source archive.
        requirements: The wheels that build it.
        out: Where the wheel goes.

    Raises:
        BuildError: It does not compile.
    """
    python = host_venv.python(
        project.store,
        requirements.wheels,
        project.store.gathered("wheels", requirements.files),
    )
    archives = project.store.gathered("sources", {source.file: source.sha256})
    try:
        run(
            argv(recipe, archives / source.file, python, out),
            env=build_environment(os.environ, python.parent),
            timeout=TIME_LIMIT,
        )
    except ProcessError as error:
        raise BuildError(
            f"{source.name} does not compile on this host: {error.problem}",
            where=str(recipe.directory),
            remedy="install the system's compilers (on macOS: xcode-select --install)",
        ) from error


def argv(recipe: WheelRecipe, archive: Path, python: Path, out: Path) -> tuple[str, ...]:
    """Return the argument list that builds the wheel.

    Args:
        recipe: Its settings for a host are handed to the build backend.
        archive: The source archive.
        python: Of an environment that holds the wheels that build it.
        out: Where the wheel goes.
    """
    settings = [
        word
        for name, value in recipe.document.host_settings.items()
        for each in ([value] if isinstance(value, str) else value)
        for word in ("--config-setting", f"{name}={each}")
    ]
    return (
        *(find_uv_bin(), "build", "--wheel", "--no-build-isolation"),
        *("--python", str(python)),
        *("--offline", "--no-cache", "--no-config", "--quiet", "--out-dir", str(out)),
        *settings,
        str(archive),
    )


def build_environment(environment: Mapping[str, str], programs: Path) -> dict[str, str]:
    """Return the environment of that: what builds the wheel comes before the system's programs."""
    kept = host_venv.uv_environment(environment)
    return {**kept, "PATH": os.pathsep.join((str(programs), kept.get("PATH", os.defpath)))}
