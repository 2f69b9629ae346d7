"""Checkpoints: the layouts that are known give the numbers they hold, all others are refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from builders import fixture
from builders.conversion import checkpoint
from builders.conversion.architecture import Architecture
from builders.conversion.checkpoint import Checkpoint
from builders.errors import ModelError
from tests.unit.checkpoints import (
    BERT,
    NOMIC,
    change_config,
    directory,
    numbers,
    original_nomic,
    write_tensors,
    write_weights,
)


def read(place: Path) -> Checkpoint:
    return checkpoint.read((place / "config.json").read_bytes(), place / "model.safetensors")


def assert_same(found: Checkpoint, name: str) -> None:
    expected = {key: value for key, value in numbers(name).items() if "pooler" not in key}
    assert found.weights.keys() == expected.keys()
    for key, values in expected.items():
        assert np.array_equal(found.weights[key], values), key


def sizes(name: str) -> Architecture:
    whole = vars(fixture.encoder(name).architecture)
    return Architecture(**{key: value for key, value in whole.items() if key != "mixing"})


@pytest.mark.parametrize("name", [NOMIC, BERT])
def test_the_native_layout_is_read(name: str, tmp_path: Path) -> None:
    found = read(directory(name, tmp_path / "model"))

    assert found.architecture == sizes(name)
    assert_same(found, name)


def test_the_original_layout_of_nomic_is_mapped(tmp_path: Path) -> None:
    place = original_nomic(tmp_path / "model")
    found = read(place)

    assert found.architecture == Architecture(**{**vars(sizes(NOMIC)), "positions": 8192})
    assert_same(found, NOMIC)
    assert checkpoint.wants_remote_code((place / "config.json").read_bytes())


def test_bert_may_have_a_prefix_and_buffers_and_lack_its_pooler(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    tensors: dict[str, tuple[str, NDArray[np.generic]]] = {
        f"bert.{name}": ("F32", values)
        for name, values in numbers(BERT).items()
        if "pooler" not in name
    }
    positions = np.arange(512, dtype=np.int64).reshape(1, -1)
    write_tensors(
        place / "model.safetensors",
        {**tensors, "bert.embeddings.position_ids": ("I64", positions)},
    )

    assert_same(read(place), BERT)


@pytest.mark.parametrize(("kind", "rounded"), [("F16", np.float16), ("BF16", None)])
def test_halves_are_widened_exactly(kind: str, rounded: type | None, tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    stored: dict[str, tuple[str, NDArray[np.generic]]] = {}
    expected: dict[str, NDArray[np.float32]] = {}
    for name, values in numbers(BERT).items():
        half = values.astype(rounded) if rounded else (values.view("<u4") >> 16).astype("<u2")
        stored[name] = (kind, half)
        expected[name] = (
            half.astype(np.float32) if rounded else (half.astype("<u4") << 16).view("<f4")
        )
    write_tensors(place / "model.safetensors", stored)

    for name, values in read(place).weights.items():
        assert values.dtype == np.float32
        assert np.array_equal(values, expected[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "xlm-roberta"}, "its architecture is xlm-roberta; converted are bert, nom"),
        ({"hidden_act": "relu"}, "its hidden_act is 'relu': that is not converted"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"num_attention_heads": 5}, "5 heads do not divide 384"),
        ({"hidden_size": "384"}, "no whole numbers above 0"),
        ({"num_hidden_layers": 0}, "no whole numbers above 0"),
    ],
)
def test_what_is_not_converted_is_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    place = directory(BERT, tmp_path / "model")
    change_config(place, **change)

    with pytest.raises(ModelError, match=message):
        read(place)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotary_scaling_factor": 2}, "rotary_scaling_factor is 2"),
        ({"rotary_emb_interleaved": True}, "rotary_emb_interleaved is True"),
        ({"qkv_proj_bias": True}, "qkv_proj_bias is True"),
        ({"activation_function": "gelu"}, "activation_function is 'gelu'"),
        ({"rotary_emb_base": 10.5}, "the base 10.5"),
    ],
)
def test_settings_of_the_original_layout_that_are_not_computed_are_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    place = original_nomic(tmp_path / "model")
    change_config(place, **change)

    with pytest.raises(ModelError, match=message):
        read(place)


def test_other_rotary_positions_are_refused(tmp_path: Path) -> None:
    place = directory(NOMIC, tmp_path / "model")
    change_config(place, rope_parameters={"rope_type": "dynamic", "rope_theta": 1000.0})

    with pytest.raises(ModelError, match="rotary positions of the type dynamic"):
        read(place)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    tensors = numbers(BERT)
    del tensors["encoder.layer.1.output.dense.bias"]
    write_weights(place / "model.safetensors", tensors)

    with pytest.raises(ModelError, match=r"it lacks encoder\.layer\.1\.output\.dense\.bias"):
        read(place)


def test_an_unexpected_tensor_is_named(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    more = np.zeros((384, 384), dtype=np.float32)
    write_weights(place / "model.safetensors", {**numbers(BERT), "2_Dense.linear.weight": more})

    with pytest.raises(ModelError, match=r"it has 2_Dense\.linear\.weight, of which config\.json"):
        read(place)


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    change_config(place, hidden_size=192)

    with pytest.raises(ModelError, match=r"of shape \(1724, 384\) instead of \(1724, 192\)"):
        read(place)


def test_many_problems_are_told_in_short(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    change_config(place, num_hidden_layers=3)

    with pytest.raises(ModelError, match=r"and 13 more"):
        read(place)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"weight": [0.0]}),
        b"",
        b"\x80\x02}q\x00.",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
)
def test_a_pickle_or_any_other_file_is_refused_unopened(content: bytes, tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    (place / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelError, match=r"not a whole safetensors file.*\n.*a pickle"):
        read(place)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    path = place / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])

    with pytest.raises(ModelError, match="is not where the header says"):
        read(place)


def test_numbers_of_another_type_are_refused(tmp_path: Path) -> None:
    place = directory(BERT, tmp_path / "model")
    doubles = {name: ("F64", values.astype(np.float64)) for name, values in numbers(BERT).items()}
    write_tensors(place / "model.safetensors", doubles)

    with pytest.raises(ModelError, match="type F64"):
        read(place)


@pytest.mark.parametrize("config", [b"{", b"[]", b"{}"])
def test_a_configuration_that_is_none_is_refused(config: bytes) -> None:
    with pytest.raises(ModelError, match=r"not JSON|not a configuration|architecture is none"):
        checkpoint.architecture(config)
