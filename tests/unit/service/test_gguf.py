from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.conversion.gguf_file import Tensor, Value, chunks
from builders.conversion.quantisation import F32
from embedding_service import gguf
from embedding_service.errors import ModelError
from embedding_service.recipe import Recipe
from tests.unit.service.tiny_model import SPACE

KEYS: Mapping[str, Value] = {
    "general.architecture": "gemma-embedding",
    "general.name": "tiny",
    "gemma-embedding.context_length": 8,
    "gemma-embedding.embedding_length": 6,
    "gemma-embedding.pooling_type": 1,
    "gemma-embedding.rope.freq_base": 10000.0,
    "gemma-embedding.attention.causal": False,
    "tokenizer.ggml.tokens": ("[PAD]", "[UNK]", "\u2581alpha", "[PAD3]"),
    "tokenizer.ggml.token_type": (3, 3, 1, 5),
}
DENSE = ("dense_2.weight", "dense_3.weight")


def header(
    directory: Path, *, tensors: tuple[str, ...] = (), **changes: Value | None
) -> gguf.Header:
    """Write a file, some of its keys changed (None: left out), and read its header."""
    named = {f"gemma-embedding.{key}": value for key, value in changes.items()}
    keys = {key: value for key, value in {**KEYS, **named}.items() if value is not None}
    rows = np.ones((2, 3), dtype=np.float32)
    parts = [
        Tensor(name=name, values=rows, encoding=F32) for name in ("token_embd.weight", *tensors)
    ]
    path = directory / "model.gguf"
    path.write_bytes(b"".join(bytes(chunk) for chunk in chunks(keys, parts)))
    return gguf.read_header(path)


def recipe(**changes: Any) -> Recipe:
    return Recipe(
        **{
            "name": "tiny",
            "dimension": 6,
            "max_tokens": 8,
            "pooling": "mean",
            "normalize": True,
            "prompts": {},
            "default_prompt": None,
            "vector_space": SPACE,
            "precision": "float32",
            "format": "gguf",
            "files": {},
            **changes,
        }
    )


def test_a_header_is_read_whole(tmp_path: Path) -> None:
    read = header(tmp_path, tensors=DENSE)
    lists = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type")
    assert read.keys == {key: value for key, value in KEYS.items() if key not in lists}
    assert (read.rows, read.unused_rows) == (4, 1)
    assert read.tensors == {"token_embd.weight", *DENSE}
    assert read.number("context_length") == 8
    assert read.number("rope.freq_base") is None
    assert read.number("expert_count") is None


def test_every_type_of_value_is_known(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    values = [(kind, f"<{code}") for kind, code in gguf._NUMBERS.items()]
    pairs = b"".join(
        struct.pack("<Q1sI", 1, bytes([97 + kind]), kind) + struct.pack(code, 1)
        for kind, code in values
    )
    floats = struct.pack("<Q1sIIQ2f", 1, b"z", 9, 6, 2, 0.5, 1.5)
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 2, 0, len(values) + 1) + pairs + floats)
    read = gguf.read_header(path)
    assert read.keys == {chr(97 + kind): 1 for kind, _ in values}
    assert (read.rows, read.unused_rows, read.tensors) == (0, 0, frozenset())


def test_a_file_cut_anywhere_in_its_header_is_refused(tmp_path: Path) -> None:
    header(tmp_path)
    path = tmp_path / "model.gguf"
    whole = path.read_bytes()
    # Two rows of three numbers, padded to 32 bytes; the header itself is padded to 32.
    end = whole.index(b"token_embd.weight") + len(b"token_embd.weight") + 4 + 2 * 8 + 4 + 8
    for length in range(end):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"model\.gguf is not a GGUF file"):
            gguf.read_header(path)
    path.write_bytes(whole[:end])
    gguf.read_header(path)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<4sIQQ", b"GGML", 3, 0, 0),
        struct.pack("<4sIQQ", b"GGUF", 1, 0, 0),
        struct.pack(">4sIQQ", b"GGUF", 3, 0, 0),
        struct.pack("<4sIQQQ1sI", b"GGUF", 3, 0, 1, 1, b"a", 13),
        struct.pack("<4sIQQQ1sI", b"GGUF", 3, 0, 1, 1, b"\xff", 0),
        struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"a", 9, 9, 1),
        struct.pack("<4sIQQQ1sIIQ", b"GGUF", 3, 0, 1, 1, b"a", 9, 4, 2**60),
        struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**64 - 1),
    ],
)
def test_what_is_no_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.gguf is not a GGUF file: "):
        gguf.read_header(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.gguf cannot be read: No such file"):
        gguf.read_header(tmp_path / "model.gguf")


def test_a_recipe_may_ask_for_less_than_the_file_can(tmp_path: Path) -> None:
    gguf.check_recipe(header(tmp_path), recipe(max_tokens=4))


@pytest.mark.parametrize(
    ("in_file", "in_recipe", "problem"),
    [
        ({"pooling_type": None}, {}, r"does not say how its tokens are pooled \(pooling_type\)"),
        ({"pooling_type": 0}, {}, r"does not say how its tokens are pooled"),
        ({}, {"pooling": "cls"}, "pools by mean; the recipe says cls"),
        ({"pooling_type": 3}, {}, "pools by last; the recipe says mean"),
        ({"pooling_type": 9}, {}, "pools by 9; the recipe says mean"),
        ({}, {"dimension": 5}, "makes vectors of 6 numbers; the recipe says 5"),
        ({"embedding_length": None}, {}, "makes vectors of None numbers"),
        ({"embedding_length_out": 5}, {}, "makes vectors of 5 numbers; the recipe says 6"),
        ({}, {"max_tokens": 9}, "takes 8 tokens; the recipe says 9"),
        ({"context_length": None}, {}, "takes 0 tokens; the recipe says 8"),
    ],
)
def test_a_recipe_that_the_file_contradicts_is_refused(
    tmp_path: Path, in_file: dict[str, Any], in_recipe: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ModelError, match=problem):
        gguf.check_recipe(header(tmp_path, **in_file), recipe(**in_recipe))


def test_without_dense_layers_a_file_is_right_for_who_does_not_claim_them(tmp_path: Path) -> None:
    gguf.check_recipe(header(tmp_path), recipe())


def test_with_dense_layers_a_file_is_right_for_who_claims_them(tmp_path: Path) -> None:
    gguf.check_recipe(header(tmp_path, tensors=DENSE), recipe(dense_layers=True))


@pytest.mark.parametrize(
    ("tensors", "missing"),
    [((), r"dense_2\.weight, dense_3\.weight"), (DENSE[:1], r"dense_3\.weight")],
)
def test_who_claims_the_official_space_needs_the_dense_layers(
    tmp_path: Path, tensors: tuple[str, ...], missing: str
) -> None:
    with pytest.raises(ModelError, match=f"lacks {missing}, so its vectors are of another space"):
        gguf.check_recipe(header(tmp_path, tensors=tensors), recipe(dense_layers=True))


@pytest.mark.parametrize("tensors", [DENSE, DENSE[1:]])
def test_dense_layers_that_nobody_claims_are_refused(
    tmp_path: Path, tensors: tuple[str, ...]
) -> None:
    with pytest.raises(ModelError, match=r"dense_3\.weight, which llama\.cpp applies"):
        gguf.check_recipe(header(tmp_path, tensors=tensors), recipe())


@pytest.mark.parametrize(
    ("own", "known"),
    [
        pytest.param(3, 3, id="the last row is unused"),
        pytest.param(4, 4, id="every row"),
        pytest.param(2, 3, id="one token was added to the tokenizer"),
        pytest.param(4, 5, id="one that the model never saw was added"),
    ],
)
def test_a_tokenizer_of_the_model_is_taken(tmp_path: Path, own: int, known: int) -> None:
    gguf.check_vocabulary(header(tmp_path), own=own, known=known)


@pytest.mark.parametrize(("own", "known"), [(5, 5), (2, 2)])
def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, own: int, known: int) -> None:
    with pytest.raises(ModelError, match=f"has {known} tokens and model.gguf 3"):
        gguf.check_vocabulary(header(tmp_path), own=own, known=known)
