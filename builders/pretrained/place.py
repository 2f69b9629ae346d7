"""Where a model is that has no entry yet: a directory, or a repository on a hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from builders.errors import ModelError
from builders.files import sha256_of
from builders.pretrained.arrival import Content
from builders.pretrained.hub import Hub
from builders.pretrained.source import DIRECTORY, HUB, HubFile

_REPOSITORY = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>\S+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Place(Protocol):
    """Files of a model, by their paths."""

    @property
    def source(self) -> str:
        """What matrix.yaml calls it."""

    @property
    def name(self) -> str:
        """Its own name."""

    @property
    def files(self) -> frozenset[str]:
        """The paths of all files."""

    def read(self, path: str) -> bytes:
        """Return a file."""

    def content(self, path: str) -> Content:
        """Return what a file is."""


def place(word: str, *, root: Path, hub: Hub) -> Place:
    """Return the place that a word of the command line names.

    Args:
        word: `OWNER/NAME@COMMIT`, or a directory.
        root: The folder of matrix.yaml.
        hub: Where repositories are.

    Raises:
        ModelError: It is neither, or its revision is a branch or tag.
        FetchError: The hub does not say what the repository holds.
    """
    if Path(word).is_dir():
        return DirectoryPlace(directory=Path(word).resolve(), root=root)
    named = _REPOSITORY.fullmatch(word.removeprefix(HUB))
    if named is None:
        raise ModelError(
            f"{word!r} is neither a directory nor OWNER/NAME@COMMIT",
            remedy="give the repository with the commit that is to be used",
        )
    if _COMMIT.fullmatch(named["revision"]) is None:
        raise ModelError(
            f"{named['revision']!r} is a branch or a tag, which moves: other weights could be"
            " fetched under the same name",
            where=word,
            remedy="give all 40 digits of a commit: the hub shows them in the repository's history",
        )
    return RepositoryPlace(hub=hub, repository=named["repository"], commit=named["revision"])


@dataclass(frozen=True, kw_only=True)
class DirectoryPlace:
    """A directory of this machine."""

    directory: Path
    root: Path

    @property
    def source(self) -> str:
        """Relative to matrix.yaml, where it is below."""
        inside = self.directory.is_relative_to(self.root)
        path = self.directory.relative_to(self.root) if inside else self.directory
        return f"{DIRECTORY}{path}"

    @property
    def name(self) -> str:
        """Its own, without those of its parents."""
        return self.directory.name

    @property
    def files(self) -> frozenset[str]:
        """The paths of all files."""
        return frozenset(
            path.relative_to(self.directory).as_posix()
            for path in self.directory.rglob("*")
            if path.is_file()
        )

    def read(self, path: str) -> bytes:
        """Return a file."""
        return (self.directory / path).read_bytes()

    def content(self, path: str) -> Content:
        """Return what a file is."""
        file = self.directory / path
        return Content(sha256=sha256_of(file), size=file.stat().st_size)


class RepositoryPlace:
    """A repository at a commit; of a large file the hub says the sha256, and a fetch checks it."""

    def __init__(self, *, hub: Hub, repository: str, commit: str) -> None:
        self.source = f"{HUB}{repository}@{commit}"
        self.name = repository.rpartition("/")[2]
        self._hub = hub
        self._repository = repository
        self._commit = commit
        listed = hub.model(repository, commit).siblings or []
        self.files = frozenset(file.rfilename for file in listed)
        self._said: Mapping[str, Content] = {
            file.rfilename: Content(sha256=file.lfs.sha256, size=file.lfs.size)
            for file in listed
            if file.lfs is not None
        }

    def read(self, path: str) -> bytes:
        """Return a file."""
        return self._bring(path).read_bytes()

    def content(self, path: str) -> Content:
        """Return what a file is; a large one is not downloaded for it."""
        if path in self._said:
            return self._said[path]
        file = self._bring(path)
        return Content(sha256=sha256_of(file), size=file.stat().st_size)

    def _bring(self, path: str) -> Path:
        file = HubFile(repository=self._repository, commit=self._commit, path=path)
        return self._hub.bring(file, lambda _received: None)
