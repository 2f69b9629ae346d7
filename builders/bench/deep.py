"""The fixture of a real model's shape, as a directory that a backend loads."""

from __future__ import annotations

from pathlib import Path

from builders import fixture, space
from builders import model as models
from builders.files import digest_of, tree_digests
from builders.matrix import Format
from builders.project import Project

NAME = "nomic-768-twin"
"""On the default fixture, the matrices take little of the time."""

LIKE = "fixture-768"
"""The entry of the matrix whose recipe it has."""


def directory(project: Project, file_format: Format, precision: str) -> Path:
    """Return its directory in a format and precision, made once."""

    def make(place: Path) -> None:
        fixture.write(NAME, file_format, place, precision)
        source = fixture.source_digests(NAME)
        like = project.matrix.models[LIKE].model_copy(
            update={
                "precision": precision,
                "tokenizer": source.tokenizer,
                "weights": source.weights,
            }
        )
        files = dict(tree_digests(place))
        recipe = space.recipe(NAME, like, file_format=file_format, files=files)
        (place / models.RECIPE).write_text(recipe.to_json(), encoding="utf-8")

    code = tree_digests(Path(fixture.__file__).parent, leave_out=("__pycache__",))
    key = digest_of(
        {"code": dict(code), "format": file_format, "name": NAME, "precision": precision}
    )
    return project.store.derived("bench-models", key.removeprefix("sha256:"), make)
