"""Exact vectors of SigLIP: texts and images (https://arxiv.org/abs/2303.15343, 2502.14786)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from builders.corpus import Corpus
from builders.matrix import Model
from tests.exact.parts import Parts, Vector, attend, gelu_tanh, split
from tests.exact.pixels import patches, pixels

PADDING = 0


def vectors(directory: Path, model: Model, corpus: Corpus) -> list[Vector]:
    """Return the vectors of texts and images as the model's recipe serves them."""
    config = json.loads((directory / "config.json").read_bytes())
    parts = Parts(directory / "model.safetensors", epsilon=config["text_config"]["layer_norm_eps"])
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    prefix = model.prompts[model.default_prompt] if model.default_prompt else ""
    found = []
    for text in corpus.texts:
        # Lower case before all else, and always as many tokens as in the training.
        ids = tokenizer.encode((prefix + text.text).lower()).ids
        padded = [*ids, *([PADDING] * (model.max_tokens - len(ids)))]
        found.append(_text(parts, config["text_config"], padded))
    for picture in corpus.images:
        image = pixels(picture.content, directory)
        found.append(_image(parts, config["vision_config"], image))
    return [each / np.linalg.norm(each) if model.normalize else each for each in found]


def _text(parts: Parts, config: Mapping[str, Any], ids: list[int]) -> Vector:
    """The last position of the text, projected."""
    x = parts["text_model.embeddings.token_embedding.weight"][ids]
    x = x + parts["text_model.embeddings.position_embedding.weight"]
    x = _encoded(parts, "text_model", config, x)
    return parts.linear(parts.norm(x, "text_model.final_layer_norm")[-1], "text_model.head")


def _image(parts: Parts, config: Mapping[str, Any], image: Vector) -> Vector:
    """All patches, pooled by the attention of one learnt query."""
    name = "vision_model.embeddings"
    kernel = parts[f"{name}.patch_embedding.weight"]
    x = patches(image, config["patch_size"]) @ kernel.reshape(len(kernel), -1).T
    x = x + parts[f"{name}.patch_embedding.bias"] + parts[f"{name}.position_embedding.weight"]
    x = _encoded(parts, "vision_model", config, x)
    return _pooled(parts, config, parts.norm(x, "vision_model.post_layernorm"))


def _pooled(parts: Parts, config: Mapping[str, Any], x: Vector) -> Vector:
    name = "vision_model.head"
    probe = parts[f"{name}.probe"][0]
    weights = np.split(parts[f"{name}.attention.in_proj_weight"], 3)
    biases = np.split(parts[f"{name}.attention.in_proj_bias"], 3)
    query, key, value = (
        split(given @ weight.T + bias, config["num_attention_heads"])
        for given, weight, bias in zip((probe, x, x), weights, biases, strict=True)
    )
    state = parts.linear(attend(query, key, value), f"{name}.attention.out_proj")
    state = state + _mixed(parts, f"{name}.mlp", parts.norm(state, f"{name}.layernorm"))
    pooled: Vector = state[0]
    return pooled


def _encoded(parts: Parts, part: str, config: Mapping[str, Any], x: Vector) -> Vector:
    for index in range(config["num_hidden_layers"]):
        name = f"{part}.encoder.layers.{index}"
        normal = parts.norm(x, f"{name}.layer_norm1")
        query, key, value = (
            split(
                parts.linear(normal, f"{name}.self_attn.{which}_proj"),
                config["num_attention_heads"],
            )
            for which in "qkv"
        )
        x = x + parts.linear(attend(query, key, value), f"{name}.self_attn.out_proj")
        x = x + _mixed(parts, f"{name}.mlp", parts.norm(x, f"{name}.layer_norm2"))
    return x


def _mixed(parts: Parts, name: str, x: Vector) -> Vector:
    return parts.linear(gelu_tanh(parts.linear(x, f"{name}.fc1")), f"{name}.fc2")
