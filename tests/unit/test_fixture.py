from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from builders import fixture, matrix
from builders.errors import ModelError
from builders.fixture.architecture import tensors
from builders.fixture.encoder import FORMATS
from builders.matrix import Format
from tests.exact.encoder import read_safetensors

SMALL = tuple(name for name in fixture.names() if name != "nomic-768-twin")
ENCODERS = ("fixture-768", "fixture-bert-384")
CASES = [
    (name, file_format, precision)
    for name in SMALL
    for file_format, precisions in fixture.fixture(name).formats.items()
    for precision in precisions
]


def pinned(name: str, file_format: str, precision: str = "float32") -> dict[str, str]:
    """Return the sha256 of each file, as committed: what `sha256sum --check` reads.

    A changed byte is another vector space to somebody's index: it must be meant.
    """
    lines = Path(__file__).with_name("fixtures.sha256").read_text(encoding="ascii").splitlines()
    prefix = f"{name}/{file_format}{'' if precision == 'float32' else f'-{precision}'}/"
    entries = [line.split("  ") for line in lines]
    return {
        path.removeprefix(prefix): digest for digest, path in entries if path.startswith(prefix)
    }


def digests(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(("name", "file_format", "precision"), CASES)
def test_every_byte_is_pinned(
    name: str, file_format: Format, precision: str, tmp_path: Path
) -> None:
    fixture.write(name, file_format, tmp_path / "new" / "directory", precision)

    assert digests(tmp_path / "new" / "directory") == pinned(name, file_format, precision)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "fixture-nomic"])
def test_source_digests_are_those_of_the_files(name: str) -> None:
    formats = fixture.fixture(name).formats
    files = pinned(name, next(form for form in formats if form not in ("onnx", "gguf")))

    assert fixture.source_digests(name) == fixture.SourceDigests(
        weights=f"sha256:{files['model.safetensors']}",
        tokenizer=f"sha256:{files['tokenizer.json']}",
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_the_formats_hold_the_same_numbers(name: str, tmp_path: Path) -> None:
    fixture.write(name, "onnx", tmp_path / "onnx")
    fixture.write(name, "sentence-transformers", tmp_path / "st")
    graph = onnx.load(tmp_path / "onnx" / "model.onnx").graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    checkpoint = read_safetensors(tmp_path / "st" / "model.safetensors")

    seen: set[str] = set()
    for constant, values in constants.items():
        modules, _, kind = constant.rpartition(".")
        names = [f"{module}.{kind}" for module in modules.split("+")]
        if names[0] not in checkpoint:
            continue
        stacked = np.concatenate([checkpoint[name] for name in names])
        linear = stacked.ndim == 2 and "_embeddings" not in constant
        assert np.array_equal(values, stacked.T if linear else stacked)
        seen |= set(names)
    assert {name for name in checkpoint if "pooler" not in name} == seen


def test_the_twin_has_the_size_of_nomic_embed_text() -> None:
    architecture = fixture.encoder("nomic-768-twin").architecture
    numbers = sum(math.prod(tensor.shape) for tensor in tensors(architecture))

    assert architecture.vocabulary == 30528
    # Its model.safetensors has 546 938 168 bytes: these and a header.
    assert 546_938_168 - 4 * numbers < 20_000


def test_a_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("from an earlier run")

    with pytest.raises(ModelError, match="not empty"):
        fixture.write("fixture-768", "onnx", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)fixture-786.*did you mean fixture-768"):
        fixture.write("fixture-786", "onnx", tmp_path)
    with pytest.raises(ModelError, match=r"(?s)zzz.*choose from fixture-768, fixture-bert-384"):
        fixture.source_digests("zzz")


@pytest.mark.parametrize("file_format", ["onnx", "sentence-transformers"])
@pytest.mark.parametrize("precision", ["float16", "q8_0", "int8"])
def test_a_format_without_the_precision_is_refused(
    file_format: Format, precision: str, tmp_path: Path
) -> None:
    with pytest.raises(
        ModelError, match=rf"not written as {file_format} in {precision}\n.*choose from float32, or"
    ):
        fixture.write("fixture-768", file_format, tmp_path / "new", precision)
    assert not (tmp_path / "new").exists()


def test_a_format_that_it_is_not_written_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)not written as transformers\n.*choose from onnx, "):
        fixture.write("fixture-768", "transformers", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="choose from float32, float16, q8_0"):
        fixture.write("fixture-768", "gguf", tmp_path, "q4_0")


def test_the_matrix_offers_each_precision_in_the_formats_that_are_written() -> None:
    offered = matrix.FIXTURE_FORMATS
    assert set(offered) == {each for precisions in FORMATS.values() for each in precisions}
    for precision, listed in offered.items():
        assert listed == tuple(form for form in FORMATS if precision in FORMATS[form])


def test_matrix_yaml_declares_the_fixtures_as_they_are() -> None:
    models = matrix.load(Path(__file__).parents[2] / "matrix.yaml").models
    source_digests = {name: fixture.source_digests(name) for name in SMALL}

    assert set(SMALL) <= set(models)
    for declared in models.values():
        if not declared.source.startswith("fixture:"):
            continue
        name = declared.source.removeprefix("fixture:")
        made = fixture.fixture(name)
        digests = fixture.SourceDigests(weights=declared.weights, tokenizer=declared.tokenizer)

        assert digests == source_digests[name]
        assert (declared.dimension, declared.max_tokens) == (made.dimension, made.max_tokens)
        assert (declared.pooling, declared.normalize) == (made.pooling, True)
        assert declared.prompts == made.prompts
        assert declared.licence == made.licence
