"""What a container must be: the facts of a cell that the smoke tests read from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders.errors import SmokeError
from builders.matrix import Input

ENGINE_PATHS = (
    "/.dockerenv",
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sbin/docker-init",
    "/sys",
    "/usr/sbin/docker-init",
)
"""What the engine puts into every container: the init and mount points."""


SHELL = "/usr/bin/sh"
"""Where a shell is mounted into the container: testinfra needs one, the image has none."""

CORPUS = "/corpus.jsonl"
"""Where the texts to embed are mounted into the container."""


class SmokeWheel(BaseModel):
    """A wheel that the image holds, and the modules that must import from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    modules: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    """Paths in the wheel of the libraries that its recipe promises, if it was built from source."""


class SmokeCell(BaseModel):
    """The facts of a cell, as `--equivec-cell FILE` gives them to the tests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    platform: str
    emulated: bool
    backend: str
    model: str
    dimension: int = Field(gt=0)
    normalize: bool
    inputs: tuple[Input, ...] = ("text",)
    vector_space: str
    precision: str
    wheels: tuple[SmokeWheel, ...] = Field(min_length=1)
    libraries: tuple[str, ...]
    """Absolute paths in the image of the shared libraries that the wheels brought."""
    refused: Mapping[str, str] = {}
    """Texts that the service must refuse, by their ids."""
    seconds: int = Field(gt=0)
    """Time limit of one command in the container."""

    @property
    def execution(self) -> Literal["native", "emulated"]:
        """How its container runs on this host."""
        return "emulated" if self.emulated else "native"


def unexplained(paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of a container's changed paths that no mount explains.

    The directories above a mount point count as changed too.
    """
    mounts = [PurePosixPath(path) for path in (*ENGINE_PATHS, SHELL, CORPUS)]
    explained = {*mounts, *(parent for mount in mounts for parent in mount.parents)}
    return tuple(path for path in paths if PurePosixPath(path) not in explained)


def read(path: Path) -> SmokeCell:
    """Read the facts of a cell.

    Raises:
        SmokeError: The file is missing or malformed.
    """
    try:
        return SmokeCell.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise SmokeError(
            f"the facts of the cell cannot be read: {error}",
            where=str(path),
            remedy="`nox -s smoke` writes this file beside the log of its container",
        ) from error
