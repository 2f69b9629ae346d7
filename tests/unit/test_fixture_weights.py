from __future__ import annotations

import hashlib

import numpy as np
import pytest

from builders.fixture import encoder, fixture, names
from builders.fixture.architecture import Architecture, tensors
from builders.fixture.weights import weights

TINY = Architecture(
    model_type="nomic_bert",
    dimension=4,
    layers=1,
    heads=2,
    feed_forward=8,
    vocabulary=16,
    positions=32,
    mixing=1.0,
)


def test_numbers_are_shake_256_of_the_names() -> None:
    stream = hashlib.shake_256(
        b"equivec fixture\ntiny\nembeddings.word_embeddings.weight\n"
    ).digest(2 * 16 * 4)
    integers = [
        int.from_bytes(stream[place : place + 2], "little", signed=True)
        for place in range(0, len(stream), 2)
    ]
    table = weights("tiny", TINY)["embeddings.word_embeddings.weight"]

    assert table.shape == (16, 4)
    assert table.dtype == np.dtype("<f4")
    assert table.ravel().tolist() == [integer / 2**15 / 16 for integer in integers]


@pytest.mark.parametrize("name", names())
def test_integer_times_spread_is_exact(name: str) -> None:
    integers = np.arange(-(2**15), 2**15, dtype=np.float64)
    for tensor in fixture(name).tensors:
        exact = tensor.centre + integers * (tensor.spread / 2**15)

        assert tensor.spread * 1024 == int(tensor.spread * 1024)
        assert np.array_equal(exact.astype(np.float32).astype(np.float64), exact)


@pytest.mark.parametrize("name", ["fixture-768", "fixture-bert-384"])
def test_numbers_fill_their_interval(name: str) -> None:
    architecture = encoder(name).architecture
    values = weights(name, architecture)
    for tensor in tensors(architecture):
        deviations = (values[tensor.name] - tensor.centre) / tensor.spread

        assert deviations.min() >= -1
        assert deviations.max() < 1
        assert abs(deviations.mean()) < 0.1
        assert deviations.std() == pytest.approx(3**-0.5, rel=0.1)


def test_float16_cannot_hold_them() -> None:
    table = weights("tiny", TINY)["embeddings.word_embeddings.weight"]

    assert np.any(table.astype(np.float16).astype(np.float32) != table)


def test_model_and_tensor_each_decide_the_numbers() -> None:
    one, other = weights("one", TINY), weights("other", TINY)
    table, norm = "embeddings.word_embeddings.weight", "layers.0.self_attn.q_proj.weight"

    assert not np.array_equal(one[table], other[table])
    assert not np.array_equal(one[table][:4], one[norm])


def test_only_bert_has_biases_positions_and_a_pooler() -> None:
    def kinds(name: str) -> tuple[bool, bool, bool]:
        have = {tensor.name for tensor in tensors(encoder(name).architecture)}
        return (
            any(name.endswith("dense.bias") for name in have),
            "embeddings.position_embeddings.weight" in have,
            "pooler.dense.weight" in have,
        )

    assert kinds("fixture-bert-384") == (True, True, True)
    assert kinds("fixture-768") == (False, False, False)
