"""The wheel stage: a wheel compiled from source, on the build platform for the target one.

Without network and without emulation, in a root file system of locked compilers. The wheel is a
function of the inputs that a `WheelBuild` names: it is kept by their digest, and not built again.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from builders.build import LAST_LINES
from builders.engine import Engine
from builders.errors import BuildError, ProcessError
from builders.files import digest_of, sha256_of
from builders.image import Root
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.process import run
from builders.project import Project
from builders.rootfs.kept import TOOLCHAIN, root
from builders.wheelhouse import audit
from builders.wheelhouse.build import KIND, WheelBuild

TIME_LIMIT = 3 * 3600.0
"""Seconds after which a compilation is given up."""

COMPILED = re.compile(r"#\d+ [\d.]+ \[(?P<done>\d+)/(?P<total>\d+)\] ")
"""How ninja, inside BuildKit, tells how far it is: `#12 33.9 [107/327] /usr/bin/…`."""

PRINTED = re.compile(r"#\d+ [\d.]+ (?P<text>.*\S.*)")
"""What a program inside BuildKit printed."""


def built(
    project: Project,
    build: WheelBuild,
    toolchain: DebianLock,
    engine: Callable[[], Engine],
    *,
    note: Callable[[str], None],
) -> Path:
    """Return a wheel, built unless the same inputs were built before, and audited.

    Args:
        project: The checkout, with all inputs in its store.
        build: What determines it.
        toolchain: The Debian packages that build it.
        engine: Gives the engine that builds; only asked when it must.
        note: Told how far the compilation is.

    Raises:
        BuildError: It does not compile, or what came out is not what the recipe promises.
    """

    def make(directory: Path) -> None:
        compilers = root(project, toolchain, folder=TOOLCHAIN)
        lock = wheel_lock.read(build.recipe.directory, build.build_platform)
        requirements = project.store.gathered("wheels", lock.files)
        source = project.store.gathered("sources", {build.source.file: build.source.sha256})
        compile_wheel(
            command(
                build,
                stage=project.images / TOOLCHAIN,
                root=compilers,
                requirements=requirements,
                source=source,
                destination=directory / "out",
            ),
            build,
            engine(),
            note=note,
        )
        wheel = _only_wheel(directory / "out", build)
        _audit(project, build, wheel)
        wheel.replace(directory / wheel.name)
        shutil.rmtree(directory / "out")

    wheel = _only_wheel(project.store.derived(KIND, build.key, make), build)
    # A kept wheel is held to today's audit: it may have been kept by a laxer one.
    key = digest_of({"audit": sha256_of(Path(audit.__file__)), "wheel": sha256_of(wheel)})
    project.store.derived(
        "audited-wheels",
        key.removeprefix("sha256:"),
        lambda _place: _audit(project, build, wheel),
    )
    return wheel


def compile_wheel(
    arguments: tuple[str, ...], build: WheelBuild, engine: Engine, *, note: Callable[[str], None]
) -> None:
    """Run the stage.

    Raises:
        BuildError: It failed: its last lines are in the message.
    """

    def show(line: str) -> None:
        if found := COMPILED.match(line):
            note(f"compiled {found['done']} of {found['total']} files")

    try:
        completed = run(
            arguments, env=engine.environment, timeout=TIME_LIMIT, on_line=show, check=False
        )
    except ProcessError as error:
        raise BuildError(error.problem, where=build.name, remedy=error.remedy) from error
    if completed.returncode != 0:
        tail = "\n".join(f"  | {line}" for line in _last_lines(completed.stderr))
        raise BuildError(
            f"the wheel stage failed:\n{tail}",
            where=build.name,
            remedy=f"the whole stage again: {shlex.join(completed.argv)}",
        )


def command(
    build: WheelBuild,
    *,
    stage: Path,
    root: Root,
    requirements: Path,
    source: Path,
    destination: Path,
) -> tuple[str, ...]:
    """Return the argument list of the stage.

    Args:
        build: What is built.
        stage: The folder `images/toolchain`.
        root: The compilers' root file system.
        requirements: A directory of the wheels that build the wheel.
        source: A directory with the source archive.
        destination: Where the wheel goes.
    """
    contexts = {
        "requirements": str(requirements),
        "source": str(source),
        "toolchain": root.context.location,
        "tools": str(stage),
    }
    words = [
        *("docker", "buildx", "build"),
        *("--platform", build.platform),
        *("--file", str(stage / "Dockerfile")),
        *("--network", "none"),
        *("--provenance", "false"),
        *("--sbom", "false"),
        *("--progress", "plain"),
        # What BuildKit has cached is no wheel of another checkout's or of an earlier attempt.
        "--no-cache",
        *("--build-arg", f"SOURCE_DATE_EPOCH={build.epoch}"),
        *("--output", f"type=local,dest={destination}"),
    ]
    for name, location in sorted(contexts.items()):
        words += ["--build-context", f"{name}={location}"]
    return (*words, str(build.recipe.directory))


def _audit(project: Project, build: WheelBuild, wheel: Path) -> None:
    audit.refuse_unfit(
        wheel,
        build.recipe.document,
        platform=build.platform,
        builder_paths=(str(project.root), str(project.store.cache)),
    )


def _last_lines(output: str) -> tuple[str, ...]:
    """Return what the compilers printed last, and how BuildKit ended.

    BuildKit itself repeats only a few of those lines, and the Dockerfile's instruction.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    printed = [found["text"] for line in lines if (found := PRINTED.fullmatch(line))]
    return (*printed[-LAST_LINES:], *lines[-1 if printed else -LAST_LINES :])


def _only_wheel(directory: Path, build: WheelBuild) -> Path:
    found = sorted(directory.glob("*.whl"))
    if len(found) != 1:
        raise BuildError(
            f"the wheel stage left {len(found)} wheels",
            where=build.name,
            remedy="look at images/toolchain/build_wheel.py",
        )
    return found[0]
