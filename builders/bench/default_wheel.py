"""The wheel that users get without Equivec: compiled on their machine, with no setting at all."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

from builders import host, host_venv
from builders.bench.bench import Bench, fetch
from builders.files import digest_of, sha256_of
from builders.formats import wheel as wheel_file
from builders.lock import wheels as wheel_lock
from builders.lock.wheels import Wheel
from builders.store import link_or_copy
from builders.wheelhouse import local
from builders.wheelhouse import recipe as recipes


def python(bench: Bench, backend: str) -> Path:
    """Return an interpreter whose environment differs from ours by the wheel alone.

    That is compiled from the same source archive with no setting at all, by this machine's
    compilers for this machine: what `pip install` does where there is no wheel.

    Raises:
        BuildError: It does not compile.
    """
    project = bench.project
    lock = wheel_lock.read(project.images / backend, host.current())
    (source,) = lock.sources
    recipe = recipes.read(project.images / backend, source.name)
    plain = replace(recipe, document=recipe.document.model_copy(update={"host_settings": {}}))
    requirements = wheel_lock.read(recipe.directory, host.current())
    fetch(bench, debian=(), wheels=(lock, requirements))

    def make(directory: Path) -> None:
        local.compile_wheel(project, plain, source, requirements, directory)

    key = digest_of(
        {
            "processor": host.processor(),
            "requirements": requirements.digest,
            "source": source.sha256,
            "system": platform.platform(),
        }
    )
    with bench.reporter.step("default wheel"):
        made = project.store.derived("default-wheels", key.removeprefix("sha256:"), make)
    (file,) = made.glob("*.whl")
    wheels = (*lock.wheels, _described(file))
    gathered = bench.scratch / "wheels"
    gathered.mkdir()
    link_or_copy(file, gathered / file.name)
    for wheel in lock.wheels:
        link_or_copy(project.store.path(wheel.sha256), gathered / wheel.file)
    return host_venv.python(project.store, wheels, gathered)


def _described(file: Path) -> Wheel:
    name, version = wheel_file.distribution(file.name)
    return Wheel(
        name=name,
        version=version,
        sha256=sha256_of(file),
        file=file.name,
        size=file.stat().st_size,
        contents=wheel_file.inspect(file),
    )
