"""A real model's checkpoint: config.json and model.safetensors, as an architecture and weights.

What is not known is refused: another architecture, a setting that the conversion does not compute,
a tensor too few or too many. Two layouts of nomic-bert are known: that of transformers' native
class, and the original one of https://huggingface.co/nomic-ai/nomic-bert-2048, whose names are
mapped to the native ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builders.conversion import safetensors
from builders.conversion.architecture import Architecture, Shape, Weights, shapes
from builders.conversion.safetensors import Stored
from builders.errors import ModelError

KNOWN = ("bert", "nomic_bert")
"""The `model_type`s that are converted."""

# What the conversion computes; a configuration that says otherwise is of another model. The value
# of a key that is left out is the default of the architecture's own code.
_SETTINGS: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    "bert": {
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute", None),
        "is_decoder": (False, None),
        "add_cross_attention": (False, None),
    },
    "nomic_bert": {"hidden_act": ("silu", None)},
    "original": {
        "activation_function": ("swiglu",),
        "prenorm": (False, None),
        "causal": (False, None),
        "parallel_block": (False, None),
        "use_rms_norm": (False, None),
        "qkv_proj_bias": (False,),
        "mlp_fc1_bias": (False,),
        "mlp_fc2_bias": (False,),
        "rotary_emb_fraction": (1,),
        "rotary_emb_interleaved": (False, None),
        "rotary_emb_scale_base": (None,),
        "rotary_scaling_factor": (None,),
        "scale_attn_by_inverse_layer_idx": (False, None),
        "scale_attn_weights": (True, None),
    },
}

_NAMES = {
    "emb_ln": "embeddings.LayerNorm",
    "attn.out_proj": "self_attn.o_proj",
    "mlp.fc11": "mlp.up_proj",
    "mlp.fc12": "mlp.gate_proj",
    "mlp.fc2": "mlp.down_proj",
    "norm1": "post_attention_layernorm",
    "norm2": "post_mlp_layernorm",
}
"""The original layout's modules, and the native ones."""

_ORIGINAL_LAYER = re.compile(
    r"encoder\.layers\.(?P<index>\d+)\.(?P<module>.+)\.(?P<kind>weight|bias)"
)

_UNUSED = re.compile(r"(bert\.)?(embeddings\.position_ids|pooler\.dense\.(weight|bias))")
"""Tensors that a checkpoint may have or lack: they are of no effect on an embedding."""

_SHOWN = 3
"""How many tensors a message names."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What is converted."""

    architecture: Architecture
    weights: Weights


def model_type(config: bytes, *, where: str = "config.json") -> str:
    """Return which architecture a configuration names.

    Raises:
        ModelError: It is no configuration of transformers.
    """
    return str(_document(config, where).get("model_type", "none"))


def wants_remote_code(config: bytes, *, where: str = "config.json") -> bool:
    """Return whether a configuration names Python files to load the model with.

    Raises:
        ModelError: It is no configuration of transformers.
    """
    return "auto_map" in _document(config, where)


def architecture(config: bytes, *, where: str = "config.json") -> Architecture:
    """Return the sizes that a configuration gives.

    Raises:
        ModelError: It is not of an architecture that is converted, or has a setting that is not.
    """
    document = _document(config, where)
    kind = str(document.get("model_type", "none"))
    if kind not in KNOWN:
        raise ModelError(
            f"its architecture is {kind}; converted are {', '.join(KNOWN)}",
            where=where,
            remedy="give a format that is there already (an ONNX or GGUF file), or build it with"
            " the backend sentence-transformers",
        )
    layout = "original" if "n_embd" in document else kind
    wrong = [
        f"{key} is {document.get(key)!r}"
        for key, known in _SETTINGS[layout].items()
        if document.get(key) not in known
    ]
    if wrong:
        raise ModelError(
            f"its {', '.join(wrong)}: that is not converted",
            where=where,
            remedy="give a format that is there already (an ONNX or GGUF file)",
        )
    try:
        return _original(document) if layout == "original" else _native(document)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"no configuration of {kind}: {error!r}", where=where) from error


def read(config: bytes, model: Path, *, where: str = "model.safetensors") -> Checkpoint:
    """Read a checkpoint; the weights are float32, whatever they are stored as.

    Args:
        config: The content of config.json.
        model: The safetensors file.
        where: What errors call that.

    Raises:
        ModelError: It is of another architecture, malformed, or its tensors are not those that its
            configuration asks for.
    """
    sizes = architecture(config)
    expected = {name: shape for name, shape in shapes(sizes).items() if not _UNUSED.fullmatch(name)}
    found = dict(_tensors(safetensors.read(model, where=where)))
    if problems := tuple(_problems(found, expected)):
        raise ModelError(
            "; ".join(problems),
            where=where,
            remedy="weights and config.json are not of one model, or of one that is not converted",
        )
    return Checkpoint(architecture=sizes, weights={name: found[name] for name in expected})


def _problems(found: Weights, expected: Mapping[str, Shape]) -> Iterator[str]:
    if missing := sorted(expected.keys() - found.keys()):
        yield f"it lacks {_some(missing)}"
    if unexpected := sorted(found.keys() - expected.keys()):
        yield f"it has {_some(unexpected)}, of which config.json knows nothing"
    wrong = [
        f"{name} of shape {found[name].shape} instead of {shape}"
        for name, shape in expected.items()
        if name in found and found[name].shape != shape
    ]
    if wrong:
        yield f"it has {_some(wrong)}"


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _tensors(stored: Mapping[str, Stored]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield tensors by the names of the native layout."""
    for name, tensor in stored.items():
        if _UNUSED.fullmatch(name):  # `position_ids` are integers
            continue
        numbers = tensor.numbers()
        layer = _ORIGINAL_LAYER.fullmatch(name)
        if layer is None:
            module, _, kind = name.removeprefix("bert.").rpartition(".")
            yield f"{_NAMES.get(module, module)}.{kind}", numbers
        elif layer["module"] != "attn.Wqkv":
            module = _NAMES.get(layer["module"], layer["module"])
            yield f"layers.{layer['index']}.{module}.{layer['kind']}", numbers
        else:
            for part, third in zip("qkv", np.array_split(numbers, 3), strict=True):
                yield f"layers.{layer['index']}.self_attn.{part}_proj.{layer['kind']}", third


def _native(document: Mapping[str, Any]) -> Architecture:
    rope = document.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rotary positions of the type {rope['rope_type']} are not converted")
    kind = document["model_type"]
    return _sized(
        Architecture(
            model_type=kind,
            dimension=document["hidden_size"],
            layers=document["num_hidden_layers"],
            heads=document["num_attention_heads"],
            feed_forward=document["intermediate_size"],
            vocabulary=document["vocab_size"],
            positions=document["max_position_embeddings"],
            token_types=document.get("type_vocab_size", 2),
            layer_norm_epsilon=document.get("layer_norm_eps", 1e-12),
            **({"rope_base": _whole(rope["rope_theta"])} if kind == "nomic_bert" else {}),
        )
    )


def _original(document: Mapping[str, Any]) -> Architecture:
    return _sized(
        Architecture(
            model_type="nomic_bert",
            dimension=document["n_embd"],
            layers=document["n_layer"],
            heads=document["n_head"],
            feed_forward=document["n_inner"],
            vocabulary=document["vocab_size"],
            positions=document["n_positions"],
            token_types=document["type_vocab_size"],
            layer_norm_epsilon=document["layer_norm_epsilon"],
            rope_base=_whole(document["rotary_emb_base"]),
        )
    )


def _sized(sizes: Architecture) -> Architecture:
    numbers = (sizes.dimension, sizes.layers, sizes.heads, sizes.feed_forward, sizes.vocabulary)
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        raise ValueError("its sizes are no whole numbers above 0")
    if sizes.dimension % (2 * sizes.heads):
        raise ValueError(f"{sizes.heads} heads do not divide {sizes.dimension}")
    return sizes


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError(f"the base {number} of rotary positions is not converted")
    return int(number)


def _document(config: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(config)
    except ValueError as error:
        raise ModelError(f"not JSON: {error}", where=where) from error
    if not isinstance(document, dict):
        raise ModelError("not a configuration of transformers", where=where)
    return document
