"""Exact vectors of the fixture that brings its own code: rotary texts, and images by patches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from builders.corpus import Corpus
from builders.matrix import Model
from tests.exact.parts import Parts, Vector, attend, silu, split, turned
from tests.exact.pixels import patches, pixels

EPSILON = 1e-12
ROTARY_BASE = 1000.0


def vectors(directory: Path, model: Model, corpus: Corpus) -> list[Vector]:
    """Return the vectors of texts and images as the model's recipe serves them."""
    text, vision = (_read(directory / part) for part in ("text", "vision"))
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    prefix = model.prompts[model.default_prompt] if model.default_prompt else ""
    found = [
        _text(*text, tokenizer.encode(prefix + each.text).ids).mean(axis=0) for each in corpus.texts
    ]
    # The first state is the image's as a whole.
    found += [_image(*vision, pixels(each.content, directory))[0] for each in corpus.images]
    return [each / np.linalg.norm(each) if model.normalize else each for each in found]


def _read(directory: Path) -> tuple[Parts, Mapping[str, Any]]:
    config = json.loads((directory / "config.json").read_bytes())
    return Parts(directory / "model.safetensors", epsilon=EPSILON), config


def _text(parts: Parts, config: Mapping[str, Any], ids: list[int]) -> Vector:
    x = parts["word_embeddings.weight"][ids] + parts["token_type_embeddings.weight"][0]
    return _encoded(parts, config, x, base=ROTARY_BASE)


def _image(parts: Parts, config: Mapping[str, Any], image: Vector) -> Vector:
    projected = parts.linear(patches(image, config["patch_size"]), "proj")
    x = np.concatenate([parts["cls_token"][0], projected]) + parts["pos_embed"][0]
    return _encoded(parts, config, x, base=None)


def _encoded(parts: Parts, config: Mapping[str, Any], x: Vector, *, base: float | None) -> Vector:
    """Return the last states; with a base, queries and keys are turned by their position."""
    x = parts.norm(x, "emb_ln")
    for index in range(config["n_layer"]):
        name = f"layers.{index}"
        query, key, value = (
            split(each, config["n_head"])
            for each in np.split(parts.linear(x, f"{name}.Wqkv"), 3, axis=-1)
        )
        if base is not None:
            query, key = turned(query, base), turned(key, base)
        mixed = parts.linear(attend(query, key, value), f"{name}.out_proj")
        x = parts.norm(x + mixed, f"{name}.norm1")
        gated = parts.linear(x, f"{name}.fc11") * silu(parts.linear(x, f"{name}.fc12"))
        x = parts.norm(x + parts.linear(gated, f"{name}.fc2"), f"{name}.norm2")
    return x
