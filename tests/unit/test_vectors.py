from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import vectors
from builders.errors import ReferenceVectorsError
from embedding_service import document as service_document

IDS = ("one", "two")
SPACE = f"sha256:{'a' * 64}"


def encoded(*values: float) -> str:
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode("ascii")


def written(**changes: Any) -> str:
    """A document as the service writes it, with some of its values changed."""
    document = {
        "backend": "onnxruntime",
        "libraries": {"onnxruntime": "1.31.1"},
        "model": "fixture-3",
        "dimension": 3,
        "vector_space": SPACE,
        "precision": "float32",
        "architecture": "x86_64",
        "batch_size": 1,
        "vectors": {"one": encoded(1, 0, 0), "two": encoded(0, 0.5, -0.5)},
    }
    return json.dumps({**document, **changes})


def test_document_of_the_service(tmp_path: Path) -> None:
    """The two programs agree on the format: what the service's writer writes can be read."""
    file = tmp_path / "vectors.json"
    service_document.write(
        service_document.VectorDocument(
            backend="onnxruntime",
            libraries={"numpy": "2"},
            model="fixture-3",
            dimension=3,
            vector_space=SPACE,
            precision="float32",
            architecture="aarch64",
            batch_size=32,
            vectors={
                "one": service_document.encoded(np.array([1, 0, 0], dtype="<f4").tobytes()),
                "two": service_document.encoded(np.array([0, 0.5, -0.5], dtype="<f4").tobytes()),
            },
        ),
        file,
    )
    read = vectors.read(file, IDS)
    assert read.ids == IDS
    assert read.matrix.dtype == np.float32
    assert read.matrix.tolist() == [[1, 0, 0], [0, 0.5, -0.5]]
    assert (read.model, read.vector_space, read.precision) == ("fixture-3", SPACE, "float32")
    assert (read.backend, read.libraries) == ("onnxruntime", {"numpy": "2"})
    assert (read.architecture, read.batch_size) == ("aarch64", 32)


def test_matrix_cannot_be_written() -> None:
    matrix = vectors.parse(written(), IDS, where="here").matrix
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 2


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (("one", "two", "three"), "lacks three"),
        (("one",), "does not know two"),
        (("two", "one"), "another order"),
    ],
)
def test_other_texts_are_refused(ids: tuple[str, ...], words: str) -> None:
    with pytest.raises(ReferenceVectorsError, match=words):
        vectors.parse(written(), ids, where="here")


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (encoded(1, 0), r"two \(2 dimensions instead of 3\)"),
        (encoded(1, 0, float("nan")), r"two \(NaN or infinity\)"),
        (encoded(1, 0, float("-inf")), r"two \(NaN or infinity\)"),
        (encoded(0, 0, 0), r"two \(length 0\)"),
        ("AAAA", r"two \(not float32 values"),
        ("not base64!", r"two \(not float32 values"),
        ("", r"two \(not float32 values"),
    ],
)
def test_unusable_vectors_are_refused_by_their_ids(vector: str, words: str) -> None:
    content = written(vectors={"one": encoded(1, 0, 0), "two": vector})
    with pytest.raises(ReferenceVectorsError, match=words):
        vectors.parse(content, IDS, where="here")


def test_many_unusable_vectors_are_counted() -> None:
    ids = tuple(f"text-{number}" for number in range(15))
    content = written(vectors=dict.fromkeys(ids, encoded(1)))
    with pytest.raises(ReferenceVectorsError, match=r"text-9 \(.*\) and 5 more"):
        vectors.parse(content, ids, where="here")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        written(dimension="3"),
        written(dimension=0),
        written(vector_space="nomic"),
        written(vectors={}),
        written(surprise=1),
    ],
)
def test_malformed_documents_are_refused(content: str) -> None:
    with pytest.raises(ReferenceVectorsError, match="here: not a vector document"):
        vectors.parse(content, IDS, where="here")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReferenceVectorsError, match="cannot be read"):
        vectors.read(tmp_path / "nothing.json", IDS)


def test_values_are_little_endian_on_every_machine() -> None:
    """1.0 as it stands in a document, whatever this machine's byte order."""
    content = written(dimension=1, vectors={"one": "AACAPw==", "two": "AACAPw=="})
    assert vectors.parse(content, IDS, where="here").matrix.tolist() == [[1], [1]]
