"""The record of a parcel: what the proof of an image must know beside the image's own bytes.

A parcel is a directory, which any exchange of files may carry:

- `parcel.json`: the record
- `debian.json`: the lock of the Debian packages of the root file system, as it was in force
- `layout/`: the OCI image layout
- `wheels/`: the wheels that were compiled for it, if any
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from builders.errors import LayoutError
from builders.formats.oci import Digest

RECORD, DEBIAN, LAYOUT, WHEELS = "parcel.json", "debian.json", "layout", "wheels"

_WheelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """What a parcel holds, and how that was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    cell: str
    backend: str
    model: str
    platform: str
    digest: Digest = Field(description="sha256 of the platform manifest: the image's identity")
    build_platform: str
    builder: dict[str, str] = Field(description="kind and versions of the engine that built it")
    builder_paths: tuple[str, ...] = Field(
        description="directories of the machine that built it, which no file of it may mention"
    )
    base: Digest = Field(description="sha256 of the manifest of the base image")
    root: Annotated[tuple[Digest, ...], Field(min_length=1)] = Field(
        description="sha256 of each uncompressed layer of the base image"
    )
    debian_drift: tuple[str, ...] = Field(
        description="where the packages of the root file system differ from the committed lock"
    )
    drift: tuple[str, ...] = Field(description="that, and the same of all that built the image")
    wheels: dict[_WheelName, _Sha256] = Field(description="those that were compiled, by file name")
    files: dict[str, str] = Field(
        description="sha256 of each file of the checkout that it is made from, by path"
    )
    suite: str = Field(description="digest of the program that built it, and of its tests")


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        LayoutError: It is not one.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise LayoutError(
            f"not the record of a parcel: {error}",
            where=str(path),
            remedy="get it anew from where it was built (`nox -s build -- --to DIR`)",
        ) from error
