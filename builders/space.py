"""Vector spaces: which vectors may be compared, and the recipe that makes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from builders.matrix import Format, Input, Model

TEXT: tuple[Input, ...] = ("text",)


class Recipe(BaseModel):
    """What `model.json` says, beside the files of a model in its directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dimension: int
    max_tokens: int
    pooling: Literal["mean", "cls", "model"]
    normalize: bool
    prompts: Mapping[str, str]
    default_prompt: str | None
    vector_space: str
    precision: str
    format: Format
    inputs: tuple[Input, ...] = TEXT
    """Only written where it is not text alone."""
    dense_layers: bool = False
    """Only written where it is true."""
    files: Mapping[str, str]
    """The sha256 (64 hexadecimal digits) of every other file of the directory, by its path."""

    def to_json(self) -> str:
        """Return the text of `model.json`: the same bytes for the same recipe."""
        usual = {"inputs": TEXT, "dense_layers": False}
        left_out = {key for key, value in usual.items() if getattr(self, key) == value}
        return json.dumps(self.model_dump(exclude=left_out), indent=2) + "\n"


def recipe(name: str, model: Model, *, file_format: Format, files: Mapping[str, str]) -> Recipe:
    """Return the recipe of a model in one of its formats.

    Args:
        name: The model's key in matrix.yaml.
        model: The model.
        file_format: The format that its files are in.
        files: The sha256 of each file (64 hexadecimal digits), by its path in the directory.
    """
    return Recipe(
        name=name,
        dimension=model.dimension,
        max_tokens=model.max_tokens,
        pooling=model.pooling,
        normalize=model.normalize,
        prompts=dict(sorted(model.prompts.items())),
        default_prompt=model.default_prompt,
        vector_space=vector_space(model),
        precision=model.precision,
        format=file_format,
        inputs=model.inputs,
        dense_layers=model.dense_layers,
        files=dict(sorted(files.items())),
    )


def vector_space(model: Model) -> str:
    """Return the digest of all that decides what a model's vectors mean: `sha256:…`.

    That is the source weights, the tokenizer, pooling, normalisation, the whole prompt table and
    the output dimension. Precision, file format, backend and platform are left out: they move a
    vector a little, within the tolerances, and not into another space.
    """
    meaning = {
        **({"dense_layers": True} if model.dense_layers else {}),
        "default_prompt": model.default_prompt,
        "dimension": model.dimension,
        "normalize": model.normalize,
        "pooling": model.pooling,
        "prompts": dict(model.prompts),
        "tokenizer": model.tokenizer,
        "weights": model.weights,
    }
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode('ascii')).hexdigest()}"
