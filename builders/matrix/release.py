"""The policy of releases in matrix.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from builders.matrix.section import Names, Section, unrepeated

TagKind = Literal["version", "minor", "major", "latest"]
"""Of v1.2.3: `v1.2.3`, `1.2`, `1`, `latest`."""

ImagePlatform = Literal["linux/amd64", "linux/arm64"]
"""A platform that has images."""


def _with_version(tags: tuple[TagKind, ...]) -> tuple[TagKind, ...]:
    """Refuse tags that all move: only the version's own tells what was released."""
    if "version" not in tags:
        raise ValueError("must have version: every other tag moves with the next release")
    return tags


class Release(Section):
    """What is released: which images, what they must be, and the tags that they get."""

    backends: Names = Field(default_factory=tuple)
    """The backends whose images are released where none is named; left out: the default's."""
    models: Names = Field(default_factory=tuple)
    """The models whose images are released where none is named; left out: the default's."""
    execution: Literal["native", "any"] = "native"
    """How its containers must have been run for its tests: `native`, or `any` (emulated too)."""
    platforms: Annotated[
        tuple[ImagePlatform, ...],
        Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        AfterValidator(unrepeated),
    ] = ("linux/amd64", "linux/arm64")
    """The platforms that it must have, as far as its backend is for them."""
    tags: Annotated[
        tuple[TagKind, ...],
        Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        AfterValidator(unrepeated),
        AfterValidator(_with_version),
    ] = ("version", "minor", "major", "latest")
    """The tags that a release gets; a pre-release gets its version's alone."""
