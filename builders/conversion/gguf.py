"""The encoders as GGUF, for llama.cpp: its names for architectures, keys and tensors.

They are those of llama.cpp's own converter (conversion/bert.py) and of the loaders that read them
(src/models/bert.cpp and nomic-bert.cpp). llama.cpp reads only the first row of the table of token
types, and has one GELU, the approximation by tanh, which it looks up in a table of float16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from builders.conversion.architecture import (
    EMBEDDINGS_NORM,
    POSITION_TABLE,
    TYPE_TABLE,
    WORD_TABLE,
    Architecture,
    Layer,
    Weights,
    layer,
)
from builders.conversion.gguf_file import Tensor, Value
from builders.conversion.gguf_file import chunks as file_chunks
from builders.conversion.quantisation import F16, F32, Q8_0, Chunk, Encoding, Numbers
from builders.conversion.wordpiece import CONTINUATION, WordPiece
from builders.errors import ModelError

Pooling = Literal["mean", "cls"]

PRECISIONS: Mapping[str, Encoding] = {"float32": F32, "float16": F16, "q8_0": Q8_0}
"""How projections and the word table are stored, by the precision's name."""

_FILE_TYPES = {"float32": 0, "float16": 1, "q8_0": 7}
"""`enum llama_ftype`: what most of a file's numbers are."""

_POOLINGS: Mapping[Pooling, int] = {"mean": 1, "cls": 2}
"""`enum llama_pooling_type`."""

_NORMAL, _CONTROL, _UNUSED = 1, 3, 5
"""Types of tokens (`enum llama_token_type`)."""

_WORD_START = "\u2581"

_ALWAYS_FLOAT32 = ("token_types.weight", "position_embd.weight")
"""Tables that llama.cpp's converter and quantiser leave alone, as they do everything 1-D."""


def chunks(
    name: str,
    architecture: Architecture,
    weights: Weights,
    tokenizer: WordPiece,
    *,
    precision: str,
    pooling: Pooling | None,
) -> Iterator[Chunk]:
    """Yield the bytes of a GGUF file.

    Args:
        name: What the file says that the model is called.
        architecture: Its sizes.
        weights: Its numbers.
        tokenizer: Its vocabulary; rows of the word table beyond it are marked as unused.
        precision: One of PRECISIONS; what is not a projection or the word table is float32.
        pooling: What the file says of pooling; None: nothing, as in files of old converters.

    Raises:
        ModelError: The precision cannot store rows of the architecture's widths, or the word table
            has fewer rows than there are tokens.
    """
    keys = {
        "general.architecture": _prefix(architecture),
        "general.name": name,
        "general.file_type": _FILE_TYPES[precision],
        **({"general.quantization_version": 2} if precision == "q8_0" else {}),
        **_sizes(architecture),
        **({f"{_prefix(architecture)}.pooling_type": _POOLINGS[pooling]} if pooling else {}),
        **_tokenizer(architecture, tokenizer),
    }
    tensors = [
        Tensor(name=tensor, values=values, encoding=_encoding(tensor, values, precision))
        for tensor, values in _tensors(architecture, weights)
    ]
    yield from file_chunks(keys, tensors)


def _prefix(architecture: Architecture) -> str:
    return architecture.model_type.replace("_", "-")


def _encoding(name: str, values: Numbers, precision: str) -> Encoding:
    if values.ndim == 1 or name in _ALWAYS_FLOAT32:
        return F32
    return PRECISIONS[precision]


def _sizes(architecture: Architecture) -> dict[str, Value]:
    sizes: dict[str, Value] = {
        "block_count": architecture.layers,
        "context_length": architecture.positions,
        "embedding_length": architecture.dimension,
        "feed_forward_length": architecture.feed_forward,
        "attention.head_count": architecture.heads,
        "attention.layer_norm_epsilon": architecture.layer_norm_epsilon,
        "attention.causal": False,
    }
    if architecture.model_type == "nomic_bert":
        sizes["rope.freq_base"] = float(architecture.rope_base)
    return {f"{_prefix(architecture)}.{key}": value for key, value in sizes.items()}


def _tokenizer(architecture: Architecture, tokenizer: WordPiece) -> dict[str, Value]:
    used = len(tokenizer.tokens)
    if used > architecture.vocabulary:
        raise ModelError(
            f"its tokenizer has {used} tokens, and its word table {architecture.vocabulary} rows"
        )
    unused = range(used, architecture.vocabulary)
    kinds = (_CONTROL if token in tokenizer.special else _NORMAL for token in tokenizer.tokens)
    ids = tokenizer.ids
    keys: dict[str, Value] = {
        "model": "bert",
        "tokens": (
            *(_stored(token, tokenizer.special) for token in tokenizer.tokens),
            *(f"[PAD{row}]" for row in unused),
        ),
        "token_type": (*kinds, *(_UNUSED for _ in unused)),
        "token_type_count": architecture.token_types,
        "bos_token_id": ids["[CLS]"],
        "eos_token_id": ids["[SEP]"],
        "unknown_token_id": ids["[UNK]"],
        "seperator_token_id": ids["[SEP]"],  # sic: llama.cpp's spelling
        "padding_token_id": ids["[PAD]"],
        "cls_token_id": ids["[CLS]"],
        "mask_token_id": ids["[MASK]"],
    }
    return {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


def _stored(token: str, special: frozenset[str]) -> str:
    """A token as llama.cpp has it: what begins a word is marked, rather than what continues one."""
    if token in special:
        return token
    if token.startswith(CONTINUATION):
        return token.removeprefix(CONTINUATION)
    return f"{_WORD_START}{token}"


def _tensors(architecture: Architecture, weights: Weights) -> Iterator[tuple[str, Numbers]]:
    """Yield every tensor by llama.cpp's name; a linear weight is (outputs, inputs) there too."""
    yield "token_embd.weight", weights[WORD_TABLE]
    yield "token_types.weight", weights[TYPE_TABLE]
    if architecture.model_type == "bert":
        yield "position_embd.weight", weights[POSITION_TABLE]
    yield from _module(weights, "token_embd_norm", EMBEDDINGS_NORM)
    for index in range(architecture.layers):
        for name, modules in _modules(layer(architecture, index)).items():
            yield from _module(weights, f"blk.{index}.{name}", *modules)


def _modules(names: Layer) -> dict[str, tuple[str, ...]]:
    """A layer's modules by llama.cpp's name; several are one there, their outputs side by side."""
    if names.gate is None:
        attention: dict[str, tuple[str, ...]] = {
            "attn_q": (names.query,),
            "attn_k": (names.key,),
            "attn_v": (names.value,),
        }
    else:
        attention = {"attn_qkv": (names.query, names.key, names.value)}
    return {
        **attention,
        "attn_output": (names.attention_output,),
        "attn_output_norm": (names.attention_norm,),
        "ffn_up": (names.up,),
        **({"ffn_gate": (names.gate,)} if names.gate else {}),
        "ffn_down": (names.down,),
        "layer_output_norm": (names.output_norm,),
    }


def _module(weights: Weights, name: str, *modules: str) -> Iterator[tuple[str, Numbers]]:
    """Yield the weight of a module, and its bias where it has one."""
    for kind in ("weight", "bias"):
        parts = [weights[f"{module}.{kind}"] for module in modules if f"{module}.{kind}" in weights]
        if parts:
            yield f"{name}.{kind}", parts[0] if len(parts) == 1 else np.concatenate(parts)
