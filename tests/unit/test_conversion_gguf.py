"""A GGUF whose word table and vocabulary are not of one length, as real models have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.conversion import gguf, wordpiece
from builders.errors import ModelError
from builders.fixture.architecture import Architecture
from builders.fixture.tokenizer import tokenizer_json
from builders.fixture.weights import weights
from embedding_service import gguf as service
from tests.unit.gguf_reader import read

TINY = Architecture(
    model_type="nomic_bert",
    dimension=32,
    layers=1,
    heads=2,
    feed_forward=64,
    vocabulary=48,
    positions=64,
    mixing=1.0,
)


def written(tokens: int) -> bytes:
    tokenizer = wordpiece.read(tokenizer_json(tokens))
    numbers = weights("tiny", TINY)
    chunks = gguf.chunks("tiny", TINY, numbers, tokenizer, precision="float32", pooling="mean")
    return b"".join(chunks)


def test_rows_beyond_the_vocabulary_are_marked_as_unused(tmp_path: Path) -> None:
    """As llama.cpp's converter does: nomic's word table is padded to a multiple of 64."""
    content = written(40)
    keys = read(content).keys

    assert len(keys["tokenizer.ggml.tokens"]) == TINY.vocabulary
    assert list(keys["tokenizer.ggml.tokens"][40:]) == [f"[PAD{row}]" for row in range(40, 48)]
    assert list(keys["tokenizer.ggml.token_type"][40:]) == [5] * 8
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    header = service.read_header(path)
    assert (header.rows, header.unused_rows) == (48, 8)
    service.check_vocabulary(header, own=40, known=40)


def test_a_token_without_a_row_is_refused() -> None:
    with pytest.raises(ModelError, match="49 tokens, and its word table 48 rows"):
        written(49)
