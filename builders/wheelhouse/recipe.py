"""How a wheel is built from a source archive: the folder `images/<backend>/wheels/<project>`.

- `recipe.toml`: the settings, what is edited in the source, and what the wheel must hold
- `requirements.in` and `locks/`: the wheels that build it, for each build platform
- any other file that the settings name
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from builders.errors import LockError
from builders.files import digest_of, tree_digests

FOLDER = "wheels"
"""Where a backend's recipes are, below its folder."""

FILE = "recipe.toml"

_Glob = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.*/-]+$")]


class Edit(BaseModel):
    """Lines of a file of the source that are removed or replaced; each must be there once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    remove: tuple[str, ...] = ()
    replace: Mapping[str, str] = Field(default_factory=dict)


class Document(BaseModel):
    """What recipe.toml says.

    Attributes:
        libraries: Glob patterns of shared libraries: the wheel must hold a file for each.
        vendored: Which of them the stage's Debian packages brought, as Debian compiled them.
        dispatched: Of which of them one is chosen at run time, by what the processor can: only
            these may be compiled for more than the oldest processor.
        edits: What is changed in the source.
        settings: For the build backend (PEP 517); `{recipe}` and `{work}` stand for the folders of
            the recipe and of the build.
        host_settings: Those of a build on this machine for itself, where there is no wheel stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    libraries: tuple[_Glob, ...] = Field(min_length=1)
    vendored: tuple[_Glob, ...] = ()
    dispatched: tuple[_Glob, ...] = ()
    edits: tuple[Edit, ...] = ()
    settings: Mapping[str, str | tuple[str, ...]] = Field(default_factory=dict)
    host_settings: Mapping[str, str | tuple[str, ...]] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WheelRecipe:
    """A recipe and where it is.

    Attributes:
        name: The project's normalised name, which is the folder's.
        directory: The folder.
        document: What its recipe.toml says.
    """

    name: str
    directory: Path
    document: Document

    @property
    def digest(self) -> str:
        """`sha256:…` of every file of the folder but the locks."""
        return digest_of(dict(tree_digests(self.directory, leave_out=("__pycache__", "locks"))))


def names(backend: Path) -> tuple[str, ...]:
    """Return the projects that a backend has a recipe for, given the backend's folder."""
    return tuple(sorted(path.parent.name for path in (backend / FOLDER).glob(f"*/{FILE}")))


def read(backend: Path, name: str) -> WheelRecipe:
    """Read a backend's recipe for a project.

    Raises:
        LockError: There is none, or it is malformed.
    """
    directory = backend / FOLDER / name
    path = directory / FILE
    try:
        document = Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise LockError(
            f"there is no wheel of {name}, and no recipe that builds one",
            where=str(path),
            remedy="restore it from git, or require a version that has wheels",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise LockError(f"malformed: {error}", where=str(path), remedy="correct it") from error
    return WheelRecipe(name=name, directory=directory, document=document)
