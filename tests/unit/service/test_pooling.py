from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from embedding_service.inputs import Text
from embedding_service.pooling import mean_pooled, normalised, padded


def texts(*ids: Sequence[int]) -> list[Text]:
    return [Text(content="", ids=each) for each in ids]


@pytest.mark.parametrize("padding", [0, 9])
def test_texts_are_filled_up_to_the_longest(padding: int) -> None:
    fields = padded(texts([2, 4, 3], [2, 4, 5, 3]), padding=padding)
    assert {name: field.dtype for name, field in fields.items()} == dict.fromkeys(
        ("input_ids", "attention_mask", "token_type_ids"), np.dtype(np.int64)
    )
    assert fields["input_ids"].tolist() == [[2, 4, 3, padding], [2, 4, 5, 3]]
    assert fields["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert fields["token_type_ids"].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]


def test_a_token_with_the_number_of_padding_is_a_token() -> None:
    fields = padded(texts([0, 0], [1, 2, 3]))
    assert fields["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def test_tokens_of_any_sequence_are_taken() -> None:
    assert padded(texts((7, 8), range(9, 10)))["input_ids"].tolist() == [[7, 8], [9, 0]]


def test_what_fills_up_is_not_pooled() -> None:
    hidden = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    hidden[1, 3] = 1000
    mask = padded(texts([1, 1, 1, 1], [1, 1, 1]))["attention_mask"]
    pooled = mean_pooled(hidden, mask)
    assert pooled.dtype == np.float32
    assert pooled.tolist() == [[1.5], [5.0]]


def test_the_mean_of_a_text_does_not_depend_on_its_batch() -> None:
    numbers = np.random.default_rng(3)
    hidden = numbers.normal(size=(3, 7, 5)).astype(np.float32)
    lengths = (2, 7, 4)
    mask = padded(texts(*([1] * length for length in lengths)))["attention_mask"]
    together = mean_pooled(hidden, mask)
    for row, length in enumerate(lengths):
        alone = hidden[row, :length].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(together[row], alone, atol=1e-6)


def test_vectors_are_scaled_to_length_1() -> None:
    unit = normalised(np.array([[3, 4], [0, 2]], dtype=np.float32))
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, np.array([[0.6, 0.8], [0, 1]]), rtol=1e-6)
