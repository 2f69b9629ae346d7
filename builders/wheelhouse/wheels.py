"""A set of wheels, complete: what goes into an image, or into a host's environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.files import digest_of
from builders.lock.wheels import Wheel


@dataclass(frozen=True, kw_only=True)
class Wheels:
    """The wheels of a backend for a platform, in a directory.

    Attributes:
        directory: Holds each under its own file name.
        lock: `sha256:…` of the lock.
        wheels: All of them.
        built: The sha256 of those that were built here, by file name.
        promised: The shared libraries that each project's recipe promises, by their path in the
            wheel.
        drift: Where the compilers that built them differ from their committed lock.
    """

    directory: Path
    lock: str
    wheels: tuple[Wheel, ...]
    built: Mapping[str, str]
    promised: Mapping[str, tuple[str, ...]]
    drift: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """`sha256:…` of the lock, and of what was built to it."""
        return (
            digest_of({"built": dict(self.built), "lock": self.lock}) if self.built else self.lock
        )

    @property
    def versions(self) -> dict[str, str]:
        """The version of each project."""
        return {wheel.name: wheel.version for wheel in self.wheels}
