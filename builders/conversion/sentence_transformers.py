"""A directory of sentence-transformers: the configuration files beside weights and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from builders.conversion.architecture import Architecture
from builders.conversion.wordpiece import WordPiece
from builders.files import readable_json


def encoder(
    architecture: Architecture, tokenizer: WordPiece, *, max_tokens: int
) -> dict[str, bytes]:
    """Return the configuration of a known architecture and its tokenizer, by path.

    The names of `nomic_bert` are those of the native class of transformers (5.5 and later): nothing
    asks for remote code.
    """
    return {
        "config.json": readable_json(_transformer(architecture, tokenizer)),
        "tokenizer_config.json": readable_json(_tokenizer(tokenizer, max_tokens)),
    }


def modules(
    *,
    dimension: int,
    pooling: Literal["mean", "cls"],
    normalize: bool,
    max_tokens: int,
    prompts: Mapping[str, str],
) -> dict[str, bytes]:
    """Return what makes an encoder one of sentence-transformers: its files, by path.

    The modules have their old class names, which every version of sentence-transformers knows.
    """
    paths = {"": "Transformer", "1_Pooling": "Pooling"} | (
        {"2_Normalize": "Normalize"} if normalize else {}
    )
    return {
        "modules.json": readable_json(
            [
                {
                    "idx": place,
                    "name": str(place),
                    "path": path,
                    "type": f"sentence_transformers.models.{kind}",
                }
                for place, (path, kind) in enumerate(paths.items())
            ]
        ),
        "sentence_bert_config.json": readable_json(
            {"max_seq_length": max_tokens, "do_lower_case": False}
        ),
        "config_sentence_transformers.json": readable_json(
            {
                "prompts": dict(prompts),
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            }
        ),
        "1_Pooling/config.json": readable_json(
            {
                "word_embedding_dimension": dimension,
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
        **({"2_Normalize/config.json": readable_json({})} if normalize else {}),
    }


def _transformer(architecture: Architecture, tokenizer: WordPiece) -> dict[str, object]:
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
        "pad_token_id": tokenizer.ids["[PAD]"],
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


def _tokenizer(tokenizer: WordPiece, max_tokens: int) -> dict[str, object]:
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": tokenizer.lowercase,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": tokenizer.handle_chinese_chars,
        "model_max_length": max_tokens,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
