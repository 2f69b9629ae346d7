"""Vector spaces: which vectors may be compared, and the recipe that makes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from builders.matrix import Format, Input, Model

TEXT: tuple[Input, ...] = ("text",)


class Shorter(BaseModel):
    """How vectors may be shortened (Matryoshka)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer_norm: bool
    spaces: Mapping[str, str]
    """The vector space of each shorter length, by the number of dimensions."""


class HubFile(BaseModel):
    """Where a hub has a file, at a commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    commit: str
    path: str
    size: int


NOWHERE: Mapping[str, HubFile] = {}


class Recipe(BaseModel):
    """What `model.json` says, beside the files of a model in its directory.

    A key that has a default is only written where it says something else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    licence: str
    citation: str | None = None
    source: str | None = None
    """Where its weights come from; nothing of a directory, whose name is a machine's."""
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
    dense_layers: bool = False
    matryoshka: Shorter | None = None
    files: Mapping[str, str]
    """The sha256 (64 hexadecimal digits) of every other file of the directory, by its path."""
    sources: Mapping[str, HubFile] = NOWHERE
    """Where those of the files are to be had that a hub has as they are."""

    def to_json(self) -> str:
        """Return the text of `model.json`: the same bytes for the same recipe."""
        usual = {key: field.default for key, field in type(self).model_fields.items()}
        left_out = {key for key, value in usual.items() if getattr(self, key) == value}
        return json.dumps(self.model_dump(exclude=left_out), indent=2) + "\n"


def recipe(
    name: str,
    model: Model,
    *,
    file_format: Format,
    files: Mapping[str, str],
    sources: Mapping[str, HubFile] = NOWHERE,
) -> Recipe:
    """Return the recipe of a model in one of its formats.

    Args:
        name: The model's key in matrix.yaml.
        model: The model.
        file_format: The format that its files are in.
        files: The sha256 of each file (64 hexadecimal digits), by its path in the directory.
        sources: Where those of them are that a hub has.
    """
    return Recipe(
        name=name,
        licence=model.licence,
        citation=model.citation,
        source=None if model.source.startswith("file:") else model.source,
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
        matryoshka=_shorter(model),
        files=dict(sorted(files.items())),
        sources=dict(sorted(sources.items())),
    )


def vector_space(model: Model) -> str:
    """Return the digest of all that decides what a model's vectors mean: `sha256:…`.

    That is the source weights, the tokenizer, what prepares images (where it is declared), pooling,
    normalisation, the whole prompt table and the output dimension. Precision, file format, backend
    and platform are left out: they move a vector a little, within the tolerances, and not into
    another space.
    """
    return _digest(_meaning(model))


def shorter_space(model: Model, dimension: int) -> str:
    """Return the vector space of a model's vectors, shortened: they are always of unit length.

    Without a layer normalisation it is that of a model of this dimension, whoever shortens it.

    Args:
        model: One that has a `matryoshka`.
        dimension: One of its dimensions.
    """
    short = model.model_copy(update={"dimension": dimension, "normalize": True})
    by_layer_norm = model.matryoshka is not None and model.matryoshka.layer_norm
    return _digest(_meaning(short) | ({"layer_norm": True} if by_layer_norm else {}))


def _shorter(model: Model) -> Shorter | None:
    if model.matryoshka is None:
        return None
    dimensions = sorted(model.matryoshka.dimensions, reverse=True)
    return Shorter(
        layer_norm=model.matryoshka.layer_norm,
        spaces={str(dimension): shorter_space(model, dimension) for dimension in dimensions},
    )


def _meaning(model: Model) -> dict[str, object]:
    # What not every model has is only there where it is: a space keeps its digest for ever.
    return {
        **({"dense_layers": True} if model.dense_layers else {}),
        **({"preprocessor": model.preprocessor} if model.preprocessor else {}),
        "default_prompt": model.default_prompt,
        "dimension": model.dimension,
        "normalize": model.normalize,
        "pooling": model.pooling,
        "prompts": dict(model.prompts),
        "tokenizer": model.tokenizer,
        "weights": model.weights,
    }


def _digest(meaning: Mapping[str, object]) -> str:
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode('ascii')).hexdigest()}"
