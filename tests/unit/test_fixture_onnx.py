from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnxruntime
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from builders import fixture
from builders.conversion.onnx_graph import inverse_frequencies
from tests.exact.encoder import ExactEncoder

NAMES = ("fixture-768", "fixture-bert-384")
TEXTS = (
    "",
    "harbour",
    "The ferry to the island leaves at nine in the morning.",
    "请在出发前检查水箱、刹车和轮胎。",
    "The harbour of the small town was built in three parts. " * 8,
)
CLOSE = 1e-6


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def directory(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp(name)
    fixture.write(name, "onnx", parent / "onnx")
    fixture.write(name, "sentence-transformers", parent / "st")
    return parent


@pytest.fixture(scope="module")
def session(directory: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        directory / "onnx" / "model.onnx", options, providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def sequences(directory: Path) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(directory / "onnx" / "tokenizer.json"))
    return [tokenizer.encode(text).ids for text in TEXTS]


def hidden(
    session: onnxruntime.InferenceSession, batch: Sequence[Sequence[int]]
) -> list[NDArray[np.float32]]:
    """Return the hidden state of each sequence, padded to the longest on the way in."""
    longest = max(len(ids) for ids in batch)
    ids = np.zeros((len(batch), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(batch):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    (states,) = session.run(["last_hidden_state"], given)
    return [state[: len(sequence)] for state, sequence in zip(states, batch, strict=True)]


def distance(fixture_name: str, one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the distance of the vectors that a backend would make of two hidden states."""
    cls = fixture.fixture(fixture_name).pooling == "cls"
    vectors = [
        (state[0] if cls else state.mean(axis=0)).astype(np.float64) for state in (one, other)
    ]
    units = [vector / np.linalg.norm(vector) for vector in vectors]
    return float(np.linalg.norm(units[0] - units[1]))


def test_onnxruntime_agrees_with_the_exact_encoder(
    name: str,
    directory: Path,
    session: onnxruntime.InferenceSession,
    sequences: list[list[int]],
) -> None:
    exact = ExactEncoder(directory / "st")
    for ids in sequences:
        assert distance(name, hidden(session, [ids])[0], exact.hidden(ids)) < CLOSE


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("fixture-768", {"rope_parameters": {"rope_theta": 10000.0}}),
        ("fixture-768", {"layer_norm_eps": 1e-3}),
        ("fixture-768", {"num_attention_heads": 6}),
        ("fixture-768", {"num_hidden_layers": 1}),
        ("fixture-bert-384", {"hidden_act": "gelu_tanh"}),
        ("fixture-bert-384", {"num_attention_heads": 12}),
    ],
    indirect=["name"],
)
def test_another_architecture_is_seen(
    name: str,
    change: dict[str, object],
    directory: Path,
    session: onnxruntime.InferenceSession,
    sequences: list[list[int]],
) -> None:
    wrong = ExactEncoder(directory / "st", **change)
    ids = sequences[2]

    assert distance(name, hidden(session, [ids])[0], wrong.hidden(ids)) > 10 * CLOSE


def test_a_vector_does_not_depend_on_its_batch(
    name: str, session: onnxruntime.InferenceSession, sequences: list[list[int]]
) -> None:
    for ids, together in zip(sequences, hidden(session, sequences), strict=True):
        assert distance(name, hidden(session, [ids])[0], together) < CLOSE


def test_the_file_is_valid_and_as_onnx_writes_it(directory: Path) -> None:
    content = (directory / "onnx" / "model.onnx").read_bytes()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)

    assert model.SerializeToString(deterministic=True) == content


def test_inputs_and_outputs(name: str, session: onnxruntime.InferenceSession) -> None:
    dimension = fixture.fixture(name).dimension

    assert [(given.name, given.type, given.shape) for given in session.get_inputs()] == [
        ("input_ids", "tensor(int64)", ["batch", "sequence"]),
        ("attention_mask", "tensor(int64)", ["batch", "sequence"]),
        ("token_type_ids", "tensor(int64)", ["batch", "sequence"]),
    ]
    assert [(made.name, made.type, made.shape) for made in session.get_outputs()] == [
        ("last_hidden_state", "tensor(float)", ["batch", "sequence", dimension])
    ]


def test_frequencies_are_rounded_powers() -> None:
    frequencies = inverse_frequencies(fixture.encoder("fixture-768").architecture)

    assert frequencies.dtype == np.float32
    assert frequencies.shape == (32,)
    assert frequencies[0] == 1
    np.testing.assert_allclose(frequencies, 1000.0 ** (-np.arange(32) / 32), rtol=1.2e-7)
