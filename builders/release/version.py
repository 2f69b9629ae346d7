"""Versions of releases, and the tags that each may carry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builders.errors import ReleaseError
from builders.matrix.release import TagKind

_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_NUMBER = r"(0|[1-9][0-9]*)"
_VERSION = re.compile(
    rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?", re.ASCII
)
_LONGEST_TAG = 128


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version as https://semver.org has it, without build metadata: a tag has no `+`.

    Attributes:
        pre: What follows the hyphen of a pre-release, such as `rc.1`; empty for a release.
    """

    major: int
    minor: int
    patch: int
    pre: str = ""

    def __str__(self) -> str:
        core = f"v{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{self.pre}" if self.pre else core

    def is_newer_than(self, other: Version) -> bool:
        """Return whether it comes after another, by the rules of semver.org."""
        return self.order > other.order

    def covers(self, kind: TagKind, other: Version) -> bool:
        """Return whether a version's tag of a kind would be this one's tag of that kind."""
        return self.tag(kind) == other.tag(kind)

    def tag(self, kind: TagKind) -> str:
        """Return its tag of a kind: `v1.2.3`, `1.2`, `1` or `latest`."""
        return {
            "version": str(self),
            "minor": f"{self.major}.{self.minor}",
            "major": f"{self.major}",
            "latest": "latest",
        }[kind]

    @property
    def order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
        """What versions are sorted by: a release comes after its pre-releases."""
        identifiers = (part for part in self.pre.split(".") if part)
        return (
            (self.major, self.minor, self.patch),
            not self.pre,
            tuple(
                (not part.isdecimal(), int(part) if part.isdecimal() else 0, part)
                for part in identifiers
            ),
        )


def parse(text: str) -> Version:
    """Return the version that somebody asks for.

    Raises:
        ReleaseError: It is none.
    """
    version = read(text)
    if version is not None:
        return version
    near = f"; did you mean v{text}?" if read(f"v{text}") else ""
    raise ReleaseError(
        f"{text!r} is not a version{near}",
        where="release",
        remedy="name one as v1.2.3, or v1.2.3-rc.1; build metadata (+) cannot be in a tag",
    )


def read(tag: str) -> Version | None:
    """Return the version that a tag names; None if it names none."""
    found = _VERSION.fullmatch(tag)
    if found is None or len(tag) > _LONGEST_TAG:
        return None
    major, minor, patch, pre = found.groups()
    return Version(major=int(major), minor=int(minor), patch=int(patch), pre=pre or "")


def newest(tags: Mapping[str, str] | Iterable[str], kind: TagKind, like: Version) -> Version | None:
    """Return the newest release among tags whose tag of a kind would be that of another.

    Args:
        tags: Tags of an image. Pre-releases among them do not count.
        kind: Which tag.
        like: The other version.
    """
    found = [
        version
        for tag in tags
        if (version := read(tag)) is not None and not version.pre and like.covers(kind, version)
    ]
    return max(found, key=lambda version: version.order, default=None)
