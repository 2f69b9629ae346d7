"""A model's directory, handed over: a container given it serves another model than its own."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from builders import model
from builders.errors import ModelError
from builders.matrix import Format
from builders.project import Project


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What was written.

    Attributes:
        files: The files, by their paths, the recipe included.
        left_out: Those that are left out, since the service can fetch them.
    """

    files: tuple[str, ...]
    left_out: tuple[str, ...]


def fetchable(project: Project, name: str, form: Format) -> frozenset[str]:
    """Return which files of a model the service can fetch from a hub by itself.

    Raises:
        LockError: The lock is missing, malformed or lacks the format.
    """
    return frozenset(model.recipe(project, name, form).sources)


def hand(
    project: Project, name: str, form: Format, target: Path, *, without: Collection[str] = ()
) -> Handed:
    """Write a model's directory as `EMBEDDING_MODEL_DIR` names it.

    Where only the recipe remains of it, nothing has to have been fetched here.

    Args:
        project: The checkout.
        name: The model's key in matrix.yaml.
        form: Its format.
        target: The directory; it is made, or is empty.
        without: Files to leave out; see `fetchable`.

    Raises:
        LockError: The lock is missing, malformed or lacks the format.
        ModelError: The directory holds something, or the model is not here.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(
            "is not an empty directory", where=str(target), remedy="give a new or an empty one"
        )
    recipe = model.recipe(project, name, form)
    kept = [path for path in recipe.files if path not in without]
    if kept:
        made = model.directory(project, name, form)
        for path in kept:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made.path / path, target / path)
    target.mkdir(parents=True, exist_ok=True)
    (target / model.RECIPE).write_text(recipe.to_json(), encoding="utf-8")
    return Handed(
        files=(*kept, model.RECIPE),
        left_out=tuple(path for path in recipe.files if path in without),
    )
