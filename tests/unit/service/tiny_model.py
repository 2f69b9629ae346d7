"""A real ONNX model and tokenizer, so small that tests make them in milliseconds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from embedding_service.inputs import Text

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "alpha", "beta", "gamma", "query:")
DIMENSION = 6
MAX_TOKENS = 8
SPACE = "sha256:" + "5" * 64


Vectors = NDArray[np.float32]


def given(tokenizer: Tokenizer, *contents: str) -> list[Text]:
    """Return texts as a backend takes them, without prompts."""
    return [Text(content=content, ids=tokenizer.encode(content).ids) for content in contents]


def unit_mean(*tokens: str) -> Vectors:
    """Return the mean of the tokens' rows, with length 1: what the model makes of them."""
    mean = embeddings()[[VOCABULARY.index(token) for token in tokens]].mean(axis=0)
    unit: Vectors = mean / np.linalg.norm(mean)
    return unit


def embeddings() -> Vectors:
    """Return a distinct row for each token; padding's is far from all, so that it would show."""
    table = np.random.default_rng(7).normal(size=(len(VOCABULARY), DIMENSION))
    table[0] = 1000
    return table.astype(np.float32)


def write_model(
    directory: Path,
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids"),
    output: str = "last_hidden_state",
    special_tokens: str = "[CLS] $A [SEP]",
    **recipe: Any,
) -> Path:
    """Write a model directory: each token's hidden state is its row of `embeddings`."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_onnx(directory / "model.onnx", inputs, output)
    _write_tokenizer(directory / "tokenizer.json", special_tokens)
    write_recipe(directory, **recipe)
    return directory


def write_recipe(directory: Path, **changes: Any) -> None:
    """Write `model.json` for the files that are there, with some of its keys changed."""
    recipe: dict[str, Any] = {
        "name": "tiny",
        "dimension": DIMENSION,
        "max_tokens": MAX_TOKENS,
        "pooling": "mean",
        "normalize": True,
        "prompts": {"query": "query: "},
        "default_prompt": None,
        "vector_space": SPACE,
        "precision": "float32",
        "format": "onnx",
        "files": {
            path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name != "model.json"
        },
    }
    (directory / "model.json").write_text(json.dumps(recipe | changes), encoding="utf-8")


def _write_onnx(path: Path, inputs: Sequence[str], output: str) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", inputs[0]], [output])],
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in inputs
        ],
        [
            helper.make_tensor_value_info(
                output, TensorProto.FLOAT, ["batch", "sequence", DIMENSION]
            )
        ],
        [numpy_helper.from_array(embeddings(), "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _write_tokenizer(path: Path, special_tokens: str) -> None:
    tokens = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(tokens, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single=special_tokens, special_tokens=[(name, tokens[name]) for name in ("[CLS]", "[SEP]")]
    )
    # What published tokenizers ask for, and a service must not do.
    tokenizer.enable_truncation(max_length=4)
    tokenizer.enable_padding(length=32, pad_id=0)
    tokenizer.save(str(path))
