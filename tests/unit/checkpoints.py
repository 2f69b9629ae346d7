"""Checkpoints of real repositories' layouts, with the numbers of a fixture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builders import fixture
from builders.fixture import safetensors
from builders.fixture.weights import Weights, weights

NOMIC, BERT = "fixture-768", "fixture-bert-384"

ORIGINAL = {
    "embeddings.LayerNorm": "emb_ln",
    "layers": "encoder.layers",
    "self_attn.o_proj": "attn.out_proj",
    "mlp.up_proj": "mlp.fc11",
    "mlp.gate_proj": "mlp.fc12",
    "mlp.down_proj": "mlp.fc2",
    "post_attention_layernorm": "norm1",
    "post_mlp_layernorm": "norm2",
}
"""What https://huggingface.co/nomic-ai/nomic-bert-2048 calls what transformers calls otherwise."""


def numbers(name: str) -> dict[str, NDArray[np.float32]]:
    """Return a fixture's tensors, by the native names."""
    return dict(weights(name, fixture.encoder(name).architecture))


def directory(name: str, target: Path) -> Path:
    """Write a fixture as a directory of sentence-transformers, and return it."""
    fixture.write(name, "sentence-transformers", target)
    return target


def write_weights(path: Path, tensors: Weights) -> None:
    path.write_bytes(b"".join(bytes(chunk) for chunk in safetensors.chunks(tensors)))


def write_tensors(path: Path, tensors: Mapping[str, tuple[str, NDArray[Any]]]) -> None:
    """Write tensors of given types: `{"x": ("I64", array)}`."""
    header, content = {}, b""
    for name, (kind, values) in tensors.items():
        begin, content = len(content), content + values.tobytes()
        offsets = [begin, len(content)]
        header[name] = {"dtype": kind, "shape": values.shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def change_config(place: Path, **changes: object) -> None:
    """Change keys of a directory's config.json."""
    path = place / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}), encoding="utf-8")


def original_nomic(target: Path) -> Path:
    """Write the fixture as nomic-ai/nomic-embed-text-v1.5 is laid out, remote code included."""
    directory(NOMIC, target)
    architecture = fixture.encoder(NOMIC).architecture
    config = {
        "model_type": "nomic_bert",
        "auto_map": {
            "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"
        },
        "activation_function": "swiglu",
        "causal": False,
        "layer_norm_epsilon": 1e-12,
        "max_trained_positions": 2048,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "n_embd": architecture.dimension,
        "n_head": architecture.heads,
        "n_inner": architecture.feed_forward,
        "n_layer": architecture.layers,
        "n_positions": 8192,
        "parallel_block": False,
        "prenorm": False,
        "qkv_proj_bias": False,
        "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None,
        "scale_attn_by_inverse_layer_idx": False,
        "type_vocab_size": 2,
        "use_rms_norm": False,
        "vocab_size": architecture.vocabulary,
    }
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_weights(target / "model.safetensors", original_names(numbers(NOMIC)))
    return target


def original_names(native: Weights) -> dict[str, NDArray[np.float32]]:
    """Return tensors by the original names, with query, key and value in one."""
    renamed: dict[str, NDArray[np.float32]] = {}
    for name, values in native.items():
        new = name
        for here, there in ORIGINAL.items():
            new = new.replace(here, there)
        if ".self_attn.q_proj" in name:
            parts = [native[name.replace(".q_proj", f".{part}_proj")] for part in "qkv"]
            renamed[new.replace("self_attn.q_proj", "attn.Wqkv")] = np.concatenate(parts)
        elif "self_attn" not in new:
            renamed[new] = values
    return renamed
