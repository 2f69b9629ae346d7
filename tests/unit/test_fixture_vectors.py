"""The fixtures are worth comparing: each mistake moves their vectors far beyond a gate."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from builders import fixture
from builders.corpus import read

CORPUS = read(Path(__file__).parents[1] / "corpus" / "corpus.jsonl")
TEXTS = [text.text for text in CORPUS.texts]
GATE = 1e-4
"""The gate for float32 (matrix.yaml, `distance`)."""

Vectors = NDArray[np.float64]


class Encoder:
    """A fixture as a backend would run it, with the pooling in the caller's hand."""

    def __init__(self, name: str, directory: Path) -> None:
        fixture.write(name, "onnx", directory)
        self.pooling = fixture.encoder(name).pooling
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            directory / "model.onnx", options, providers=["CPUExecutionProvider"]
        )

    def vectors(self, texts: Iterable[str], pooling: Literal["mean", "cls"]) -> Vectors:
        """Return the pooled vectors, not normalised, shape (texts, dimension)."""
        states = [self._hidden(text) for text in texts]
        pooled = [state[0] if pooling == "cls" else state.mean(axis=0) for state in states]
        return np.array(pooled, dtype=np.float64)

    def _hidden(self, text: str) -> NDArray[np.float32]:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        given = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        states: NDArray[np.float32] = self._session.run(None, given)[0][0]
        return states


@pytest.fixture(scope="module", params=["fixture-768", "fixture-bert-384"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder(request.param, tmp_path_factory.mktemp(request.param) / "onnx")


@pytest.fixture(scope="module")
def right(encoder: Encoder) -> Vectors:
    return encoder.vectors(TEXTS, encoder.pooling)


def unit(vectors: Vectors) -> Vectors:
    normal: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normal


def distances(one: Vectors, other: Vectors) -> Vectors:
    apart: Vectors = np.linalg.norm(unit(one) - unit(other), axis=1)
    return apart


def test_different_texts_are_well_apart(right: Vectors) -> None:
    cosines = unit(right) @ unit(right).T
    pairs = cosines[np.triu_indices(len(TEXTS), 1)]

    assert pairs.mean() < 0.8
    assert np.quantile(pairs, 0.99) < 0.95


def test_the_smallest_difference_between_texts_is_seen(right: Vectors) -> None:
    vectors = dict(zip(CORPUS.ids, right, strict=True))
    for one, other in (
        ("near-order", "near-order-swapped"),
        ("near-invoice", "near-invoice-other"),
        ("near-nine", "near-ten"),
    ):
        assert distances(vectors[one][None], vectors[other][None])[0] > 100 * GATE


def test_wrong_pooling_is_far_off(encoder: Encoder, right: Vectors) -> None:
    wrong = encoder.vectors(TEXTS, "mean" if encoder.pooling == "cls" else "cls")

    assert distances(right, wrong).min() > 1000 * GATE


def test_a_missing_prefix_is_far_off(encoder: Encoder, right: Vectors) -> None:
    prefixed = encoder.vectors([f"search_query: {text}" for text in TEXTS], encoder.pooling)

    assert distances(right, prefixed).min() > 100 * GATE


def test_missing_normalisation_is_far_off(right: Vectors) -> None:
    assert np.linalg.norm(right, axis=1).min() > 2


def test_the_models_differ(tmp_path: Path) -> None:
    """Shortened to one length, their vectors have nothing to do with each other."""
    one = Encoder("fixture-768", tmp_path / "one").vectors(TEXTS[:8], "mean")[:, :384]
    other = Encoder("fixture-bert-384", tmp_path / "other").vectors(TEXTS[:8], "cls")

    assert distances(one, other).min() > 1000 * GATE
