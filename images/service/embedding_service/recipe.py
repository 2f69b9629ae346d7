"""The recipe: what a model directory's `model.json` declares, and whether its files agree."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from embedding_service.errors import ModelError

RECIPE_FILE = "model.json"

VectorSpace = Annotated[
    str, Field(pattern=r"^(sha256:[0-9a-f]{64}|declared:[A-Za-z0-9][A-Za-z0-9._/@-]{0,99})$")
]
"""A digest of all that decides what the vectors mean; of an API's, which nobody here can look into,
a name that the operator declares."""


class Matryoshka(BaseModel):
    """How a model's vectors may be shortened.

    Attributes:
        layer_norm: Whether a vector goes through a layer normalisation before it is cut.
        spaces: The vector space of each shorter length, by the number of dimensions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    layer_norm: bool
    spaces: Annotated[dict[str, VectorSpace], Field(min_length=1)]


class HubFile(BaseModel):
    """Where a hub has a file of a model: in a repository, at a commit, which never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    path: str
    size: Annotated[int, Field(ge=0, description="bytes")]

    @field_validator("path")
    @classmethod
    def _path_stays_inside(cls, path: str) -> str:
        return _stays_inside(path)


class Recipe(BaseModel):
    """How a model's vectors are made, with the sha256 of every file they are made from."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    dimension: Annotated[int, Field(gt=0, description="length of a vector")]
    max_tokens: Annotated[int, Field(gt=0, description="special tokens included")]
    pooling: Literal["mean", "cls", "model"]
    normalize: bool
    prompts: dict[str, str]
    default_prompt: str | None
    vector_space: VectorSpace
    precision: Annotated[str, Field(min_length=1)]
    format: Literal[
        "onnx", "sentence-transformers", "gguf", "transformers", "remote-code", "openai"
    ]
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    inputs: Annotated[list[Literal["text", "image"]], Field(min_length=1)] = ["text"]
    dense_layers: Annotated[
        bool, Field(description="whether linear layers after the pooling are part of the model")
    ] = False
    matryoshka: Matryoshka | None = None
    licence: Annotated[
        str | None, Field(min_length=1, description="SPDX expression; null: not known")
    ] = None
    citation: Annotated[
        str | None, Field(min_length=1, description="how its authors want it to be cited")
    ] = None
    source: Annotated[
        str | None, Field(min_length=1, description="where it is from, for people")
    ] = None
    sources: Annotated[
        dict[str, HubFile], Field(description="where to fetch files that are not in the directory")
    ] = {}

    @field_validator("files")
    @classmethod
    def _names_stay_inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            _stays_inside(name)
        return files

    @model_validator(mode="after")
    def _sources_are_of_files(self) -> Self:
        if unknown := sorted(self.sources.keys() - self.files.keys()):
            raise ValueError(f"sources names {', '.join(unknown)}, which files does not")
        return self

    @model_validator(mode="after")
    def _shorter_vectors_are_shorter(self) -> Self:
        for length in self.matryoshka.spaces if self.matryoshka else {}:
            if not (length.isdecimal() and 0 < int(length) < self.dimension):
                raise ValueError(f"no vector of {self.dimension} numbers is cut to {length!r}")
        return self

    @model_validator(mode="after")
    def _default_prompt_is_declared(self) -> Self:
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError(f"default_prompt {self.default_prompt!r} is not one of the prompts")
        return self

    @property
    def prefix(self) -> str:
        """What is put before a text: the default prompt, or nothing."""
        return "" if self.default_prompt is None else self.prompts[self.default_prompt]


def _stays_inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        raise ValueError(f"{name!r} is not a plain relative path")
    return name


def read(model_dir: Path) -> Recipe:
    """Read a model directory's recipe; its files are not looked at.

    Raises:
        ModelError: It is missing, malformed, or has an unknown or missing key.
    """
    path = model_dir / RECIPE_FILE
    try:
        return Recipe.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(step) for step in problem['loc']) or 'document'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise ModelError(f"{path} is not a recipe: {'; '.join(problems)}") from error


def verify(model_dir: Path, recipe: Recipe) -> None:
    """Check that the directory holds exactly the files of the recipe, unaltered.

    Raises:
        ModelError: A file is missing, altered, unreadable or not declared; the message names it.
    """
    found = {
        path.relative_to(model_dir).as_posix()
        for path in model_dir.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    declared = set(recipe.files)
    if missing := sorted(declared - found):
        raise ModelError(f"{model_dir} lacks {', '.join(missing)}, which {RECIPE_FILE} names")
    if undeclared := sorted(found - declared - {RECIPE_FILE}):
        raise ModelError(f"{model_dir} holds {', '.join(undeclared)}, not named by {RECIPE_FILE}")
    for name, expected in sorted(recipe.files.items()):
        actual = _sha256(model_dir / name)
        if actual != expected:
            raise ModelError(
                f"{model_dir / name} is altered: its sha256 is {actual}, "
                f"{RECIPE_FILE} says {expected}"
            )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
