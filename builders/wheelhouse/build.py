"""One build of a wheel from source, as a value: everything that determines its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from builders.files import digest_of, sha256_of
from builders.lock import wheels as wheel_lock
from builders.lock.debian import DebianLock
from builders.lock.wheels import Source
from builders.project import Project
from builders.wheelhouse import recipe as recipes
from builders.wheelhouse.recipe import WheelRecipe

KIND = "built-wheels"
"""The kind of derived directory that holds one built wheel."""

STAGE = "toolchain"
"""The folder of the wheel stage below `images`."""

_CODE = ("Dockerfile", "build_wheel.py", "prune.txt")


@dataclass(frozen=True, kw_only=True)
class WheelBuild:
    """Everything that determines a built wheel.

    Attributes:
        recipe: How it is built.
        source: The locked source archive.
        platform: What it is built for.
        build_platform: What it is built on.
        requirements: `sha256:…` of the wheels that build it.
        toolchain: `sha256:…` of the Debian packages that do.
        code: The sha256 of each file of the stage.
        epoch: The time of every file in it, in seconds since 1970.
    """

    recipe: WheelRecipe
    source: Source
    platform: str
    build_platform: str
    requirements: str
    toolchain: str
    code: tuple[str, ...]
    epoch: int

    @property
    def key(self) -> str:
        """The digest of all that, in hexadecimal."""
        return digest_of(
            {
                "build platform": self.build_platform,
                "code": list(self.code),
                "epoch": self.epoch,
                "platform": self.platform,
                "recipe": self.recipe.digest,
                "requirements": self.requirements,
                "source": self.source.sha256,
                "toolchain": self.toolchain,
            }
        ).removeprefix("sha256:")

    @property
    def name(self) -> str:
        """What people are told: the project and the platform."""
        return f"{self.source.name} {self.platform}"


def planned(
    project: Project, backend: str, platform: str, toolchain: DebianLock
) -> tuple[WheelBuild, ...]:
    """Return the builds that a backend's lock for a platform asks for.

    Args:
        project: The checkout.
        backend: Whose lock.
        platform: The target platform.
        toolchain: The compilers' lock that is in force, for the build platform.

    Raises:
        LockError: A lock is malformed, or there is no recipe for a source archive.
    """
    folder = project.images / backend
    found = []
    for source in wheel_lock.read(folder, platform).sources:
        recipe = recipes.read(folder, source.name)
        requirements = wheel_lock.read(recipe.directory, toolchain.platform)
        found.append(
            WheelBuild(
                recipe=recipe,
                source=source,
                platform=platform,
                build_platform=toolchain.platform,
                requirements=requirements.digest,
                toolchain=toolchain.digest,
                code=tuple(sha256_of(project.images / STAGE / name) for name in _CODE),
                epoch=project.matrix.epoch,
            )
        )
    return tuple(found)


def is_built(project: Project, build: WheelBuild) -> bool:
    """Tell whether a wheel is kept, so that nothing has to be fetched for it."""
    return (project.store.cache / "derived" / KIND / build.key).is_dir()
