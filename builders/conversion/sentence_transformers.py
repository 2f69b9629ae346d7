"""A directory of sentence-transformers: the configuration files beside weights and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from builders.conversion.architecture import Architecture
from builders.conversion.vocabulary import SPECIAL


def configuration(
    architecture: Architecture,
    *,
    pooling: Literal["mean", "cls"],
    max_tokens: int,
    prompts: Mapping[str, str],
) -> dict[str, bytes]:
    """Return the files of configuration by their path in the directory.

    The names of `nomic_bert` are those of the native class of transformers (5.5 and later): nothing
    asks for remote code. The modules have their old class names, which every version of
    sentence-transformers knows.
    """
    prefix = "sentence_transformers.models"
    return {
        "config.json": _json(_transformer(architecture)),
        "tokenizer_config.json": _json(_tokenizer(max_tokens)),
        "modules.json": _json(
            [
                {"idx": 0, "name": "0", "path": "", "type": f"{prefix}.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{prefix}.Pooling"},
                {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{prefix}.Normalize"},
            ]
        ),
        "sentence_bert_config.json": _json({"max_seq_length": max_tokens, "do_lower_case": False}),
        "config_sentence_transformers.json": _json(
            {
                "prompts": dict(prompts),
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            }
        ),
        "1_Pooling/config.json": _json(
            {
                "word_embedding_dimension": architecture.dimension,
                "pooling_mode_cls_token": pooling == "cls",
                "pooling_mode_mean_tokens": pooling == "mean",
                "pooling_mode_max_tokens": False,
                "pooling_mode_mean_sqrt_len_tokens": False,
                "pooling_mode_weightedmean_tokens": False,
                "pooling_mode_lasttoken": False,
                "include_prompt": True,
            }
        ),
        # Normalize has nothing to say, but an empty directory is lost in archives, layers and git.
        "2_Normalize/config.json": _json({}),
    }


def _transformer(architecture: Architecture) -> dict[str, object]:
    common = {
        "model_type": architecture.model_type,
        "vocab_size": architecture.vocabulary,
        "hidden_size": architecture.dimension,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.heads,
        "intermediate_size": architecture.feed_forward,
        "max_position_embeddings": architecture.positions,
        "type_vocab_size": architecture.token_types,
        "layer_norm_eps": architecture.layer_norm_epsilon,
        "pad_token_id": SPECIAL.index("[PAD]"),
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "dtype": "float32",
    }
    if architecture.model_type == "bert":
        return {"architectures": ["BertModel"], "hidden_act": "gelu", **common}
    rope = {"rope_type": "default", "rope_theta": float(architecture.rope_base)}
    return {
        "architectures": ["NomicBertModel"],
        "hidden_act": "silu",
        "rope_parameters": rope,
        **common,
    }


def _tokenizer(max_tokens: int) -> dict[str, object]:
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "model_max_length": max_tokens,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }


def _json(document: object) -> bytes:
    return f"{json.dumps(document, indent=2)}\n".encode("ascii")
