"""Where the files of a model come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.matrix import Model

HUB, DIRECTORY = "hub:", "file:"


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file of a repository on a hub, at a commit."""

    repository: str
    """`OWNER/NAME`."""
    commit: str
    path: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit[:12]}/{self.path}"


Source = HubFile | Path


def is_fetched(model: Model) -> bool:
    """Return whether a model's files come from elsewhere, rather than being generated."""
    return model.source.startswith((HUB, DIRECTORY))


def sources(root: Path, model: Model) -> Mapping[str, Source]:
    """Return where each file of a model comes from, by its name in the model's directory.

    Args:
        root: The folder of matrix.yaml, to which directories are relative.
        model: One whose files come from elsewhere.
    """
    return {
        name: _source(root, file.source or model.source, file.path or name)
        for name, file in model.files.items()
    }


def on_hub(model: Model, names: Collection[str]) -> Mapping[str, HubFile]:
    """Return those of a model's files that come from a hub, and where each is there.

    Args:
        model: Any model.
        names: Of files in the directory that a backend loads.
    """
    places = sources(Path(), model) if is_fetched(model) else {}
    return {
        name: place
        for name, place in places.items()
        if name in names and isinstance(place, HubFile)
    }


def _source(root: Path, place: str, path: str) -> Source:
    if place.startswith(HUB):
        repository, _, commit = place.removeprefix(HUB).partition("@")
        return HubFile(repository=repository, commit=commit, path=path)
    return root / Path(place.removeprefix(DIRECTORY)).expanduser() / path
