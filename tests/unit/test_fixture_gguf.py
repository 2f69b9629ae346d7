from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from builders import fixture
from builders.conversion import gguf, wordpiece
from builders.errors import ModelError
from builders.fixture.architecture import Architecture
from builders.fixture.tokenizer import tokenizer_json
from builders.fixture.weights import Weights, weights
from tests.exact.encoder import read_safetensors
from tests.unit.gguf_reader import Gguf, read

NAMES = ("fixture-768", "fixture-bert-384")
PRECISIONS = ("float32", "float16", "q8_0")

# llama.cpp's names of a layer's tensors, and those of transformers, whose rows stand below each
# other there.
ATTENTION = "encoder.layer.{0}.attention.self"
TENSORS: dict[str, dict[str, tuple[str, ...]]] = {
    "fixture-768": {
        "attn_qkv": tuple(f"layers.{{0}}.self_attn.{part}_proj" for part in "qkv"),
        "attn_output": ("layers.{0}.self_attn.o_proj",),
        "attn_output_norm": ("layers.{0}.post_attention_layernorm",),
        "ffn_up": ("layers.{0}.mlp.up_proj",),
        "ffn_gate": ("layers.{0}.mlp.gate_proj",),
        "ffn_down": ("layers.{0}.mlp.down_proj",),
        "layer_output_norm": ("layers.{0}.post_mlp_layernorm",),
    },
    "fixture-bert-384": {
        "attn_q": (f"{ATTENTION}.query",),
        "attn_k": (f"{ATTENTION}.key",),
        "attn_v": (f"{ATTENTION}.value",),
        "attn_output": ("encoder.layer.{0}.attention.output.dense",),
        "attn_output_norm": ("encoder.layer.{0}.attention.output.LayerNorm",),
        "ffn_up": ("encoder.layer.{0}.intermediate.dense",),
        "ffn_down": ("encoder.layer.{0}.output.dense",),
        "layer_output_norm": ("encoder.layer.{0}.output.LayerNorm",),
    },
}
TABLES = {
    "token_embd": "embeddings.word_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
}


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def directory(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp(name)
    fixture.write(name, "sentence-transformers", parent / "st")
    for precision in PRECISIONS:
        fixture.write(name, "gguf", parent / precision, precision)
    return parent


@pytest.fixture(scope="module")
def files(directory: Path) -> dict[str, Gguf]:
    return {
        precision: read((directory / precision / "model.gguf").read_bytes())
        for precision in PRECISIONS
    }


@pytest.fixture(scope="module")
def checkpoint(name: str, directory: Path) -> dict[str, NDArray[np.float32]]:
    """Return the source's tensors, by the names that llama.cpp has for them."""
    source = read_safetensors(directory / "st" / "model.safetensors")
    modules = {new: (old,) for new, old in TABLES.items()} | {
        f"blk.{index}.{new}": tuple(each.format(index) for each in old)
        for index in range(2)
        for new, old in TENSORS[name].items()
    }
    return {
        f"{new}.{kind}": np.concatenate([source[f"{each}.{kind}"] for each in old])
        for new, old in modules.items()
        for kind in ("weight", "bias")
        if f"{old[0]}.{kind}" in source
    }


def plain_keys(name: str, precision: str, pooling: gguf.Pooling | None) -> dict[str, Any]:
    """Return the keys of a fixture's file without those of its tokenizer."""
    architecture = fixture.encoder(name).architecture
    numbers = weights(name, architecture)
    content = written(name, architecture, numbers, precision, pooling)
    keys = read(content).keys
    return {key: value for key, value in keys.items() if not key.startswith("tokenizer.")}


def written(
    name: str,
    architecture: Architecture,
    numbers: Weights,
    precision: str,
    pooling: gguf.Pooling | None,
) -> bytes:
    tokenizer = wordpiece.read(tokenizer_json(architecture.vocabulary))
    chunks = gguf.chunks(
        name, architecture, numbers, tokenizer, precision=precision, pooling=pooling
    )
    return b"".join(chunks)


def test_float32_holds_the_numbers_of_the_checkpoint(
    files: dict[str, Gguf], checkpoint: dict[str, NDArray[np.float32]]
) -> None:
    tensors = files["float32"].tensors

    assert tensors.keys() == checkpoint.keys()
    for name, values in checkpoint.items():
        assert tensors[name].kind == "F32"
        assert np.array_equal(tensors[name].values, values)


@pytest.mark.parametrize(("precision", "kind"), [("float16", "F16"), ("q8_0", "Q8_0")])
def test_what_another_precision_stores_otherwise(
    files: dict[str, Gguf], precision: str, kind: str
) -> None:
    """As llama.cpp's quantiser: matrices, but not the tables of positions and token types."""
    whole, tensors = files["float32"].tensors, files[precision].tensors
    tables = {"token_types.weight", "position_embd.weight"}

    assert list(tensors) == list(whole)
    for name, tensor in tensors.items():
        plain = len(tensor.shape) == 1 or name in tables
        assert tensor.kind == ("F32" if plain else kind)
        assert tensor.shape == whole[name].shape
        assert not plain or tensor.content == whole[name].content


def test_float16_is_within_half_a_step(files: dict[str, Gguf]) -> None:
    stored = [
        (tensor.values, files["float32"].tensors[name].values)
        for name, tensor in files["float16"].tensors.items()
        if tensor.kind == "F16"
    ]
    for values, exact in stored:
        # 11 significant bits, and below 2**-14 a fixed step of 2**-24.
        bound = np.maximum(np.abs(exact) * 2**-11, 2**-25)
        assert (np.abs(values - exact) <= bound).all()
    assert any((values != exact).any() for values, exact in stored)


def test_q8_0_is_within_half_a_step(files: dict[str, Gguf]) -> None:
    for name, tensor in files["q8_0"].tensors.items():
        if tensor.kind != "Q8_0":
            continue
        exact = files["float32"].tensors[name].values.reshape(-1, 32)
        greatest = np.abs(exact).max(axis=1, keepdims=True)
        numbers, scale = tensor.blocks["numbers"].astype(int), tensor.blocks["scale"]
        # Half a step, the rounding of the scale to 11 bits, and of float32 arithmetic to 24.
        bound = greatest / 127 / 2 + greatest * (2**-11 + 4 * 2**-24)
        assert (np.abs(tensor.values.reshape(-1, 32) - exact) <= bound).all()
        assert (np.abs(numbers).max(axis=1) == 127).all()
        assert np.array_equal(scale, (greatest[:, 0].astype("<f4") / np.float32(127)).astype("<f2"))


def test_the_keys_of_nomic_bert() -> None:
    assert plain_keys("fixture-768", "float32", "mean") == {
        "general.architecture": "nomic-bert",
        "general.name": "fixture-768",
        "general.file_type": 0,
        "nomic-bert.block_count": 2,
        "nomic-bert.context_length": 2048,
        "nomic-bert.embedding_length": 768,
        "nomic-bert.feed_forward_length": 256,
        "nomic-bert.attention.head_count": 12,
        "nomic-bert.attention.layer_norm_epsilon": pytest.approx(1e-12),
        "nomic-bert.attention.causal": False,
        "nomic-bert.rope.freq_base": 1000.0,
        "nomic-bert.pooling_type": 1,
    }


def test_the_keys_of_bert() -> None:
    assert plain_keys("fixture-bert-384", "q8_0", "cls") == {
        "general.architecture": "bert",
        "general.name": "fixture-bert-384",
        "general.file_type": 7,
        "general.quantization_version": 2,
        "bert.block_count": 2,
        "bert.context_length": 512,
        "bert.embedding_length": 384,
        "bert.feed_forward_length": 768,
        "bert.attention.head_count": 6,
        "bert.attention.layer_norm_epsilon": pytest.approx(1e-12),
        "bert.attention.causal": False,
        "bert.pooling_type": 2,
    }


def test_the_tokenizer_is_that_of_tokenizer_json(files: dict[str, Gguf], directory: Path) -> None:
    keys = files["q8_0"].keys
    tokenizer = Tokenizer.from_file(str(directory / "q8_0" / "tokenizer.json"))
    tokens = keys["tokenizer.ggml.tokens"]
    special = {
        "bos": "[CLS]",
        "cls": "[CLS]",
        "eos": "[SEP]",
        "seperator": "[SEP]",
        "unknown": "[UNK]",
        "padding": "[PAD]",
        "mask": "[MASK]",
    }

    assert keys["tokenizer.ggml.model"] == "bert"
    assert keys["tokenizer.ggml.token_type_count"] == 2
    assert {name: keys[f"tokenizer.ggml.{name}_token_id"] for name in special} == {
        name: tokenizer.token_to_id(token) for name, token in special.items()
    }
    assert len(tokens) == len(set(tokens)) == tokenizer.get_vocab_size()
    kinds = keys["tokenizer.ggml.token_type"]
    for place, (token, kind) in enumerate(zip(tokens, kinds, strict=True)):
        original = str(tokenizer.id_to_token(place))
        if original in special.values():
            assert (token, kind) == (original, 3)
        elif original.startswith("##"):
            assert (token, kind) == (original.removeprefix("##"), 1)
        else:
            assert (token, kind) == (f"▁{original}", 1)


def test_a_file_without_a_pooling_type_can_be_written() -> None:
    """What a backend has to refuse."""
    keys = plain_keys("fixture-768", "float32", "mean")

    assert plain_keys("fixture-768", "float32", None) == {
        key: value for key, value in keys.items() if key != "nomic-bert.pooling_type"
    }


def test_a_width_that_8_bits_cannot_store_is_refused() -> None:
    architecture = dataclasses.replace(
        fixture.encoder("fixture-bert-384").architecture, dimension=48, heads=2, vocabulary=8
    )
    numbers = weights("narrow", architecture)
    for precision in ("float32", "float16"):
        assert read(written("narrow", architecture, numbers, precision, None)).tensors

    with pytest.raises(ModelError, match="a row has 48"):
        written("narrow", architecture, numbers, "q8_0", None)
