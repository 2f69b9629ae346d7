"""fixture-nomic's directory: two encoders, and the code of both."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from builders import fixture
from builders.fixture import safetensors
from embedding_service import vendored
from tests.exact import nomic, pixels
from tests.exact.encoder import read_safetensors
from tests.exact.parts import Vector

PARTS = ("text", "vision")
GATE = 1e-4
"""The gate for float32 (matrix.yaml, `distance`)."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fixture") / "nomic"
    fixture.write("fixture-nomic", "remote-code", path)
    return path


def test_its_space_is_that_of_both_encoders_weights(directory: Path) -> None:
    tensors = {
        f"{part}.{name}": values
        for part in PARTS
        for name, values in read_safetensors(directory / part / "model.safetensors").items()
    }
    together = hashlib.sha256(b"".join(safetensors.chunks(tensors))).hexdigest()
    tokenizer = hashlib.sha256((directory / "tokenizer.json").read_bytes()).hexdigest()

    assert fixture.source_digests("fixture-nomic") == fixture.SourceDigests(
        weights=f"sha256:{together}", tokenizer=f"sha256:{tokenizer}"
    )


@pytest.mark.parametrize("part", PARTS)
def test_the_code_that_a_configuration_names_is_there(directory: Path, part: str) -> None:
    files = [path.relative_to(directory).as_posix() for path in directory.rglob("*")]
    named = vendored.references(directory / part / "config.json", files)

    assert set(named) == {"AutoConfig", "AutoModel"}
    for module, name in named.values():
        tree = ast.parse((directory / "code" / f"{module}.py").read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_it_is_small(directory: Path) -> None:
    files = [path for path in directory.rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in files) < 35_000_000


@pytest.mark.parametrize("part", PARTS)
def test_the_configuration_has_the_sizes_of_the_tensors(directory: Path, part: str) -> None:
    config = json.loads((directory / part / "config.json").read_bytes())
    tensors = read_safetensors(directory / part / "model.safetensors")
    width, heads = config["n_embd"], config["n_head"] * config["head_width"]

    assert {name.split(".")[1] for name in tensors if name.startswith("layers.")} == {"0", "1"}
    assert config["n_layer"] == 2
    for index in range(2):
        assert tensors[f"layers.{index}.Wqkv.weight"].shape == (3 * heads, width)
        assert tensors[f"layers.{index}.fc2.weight"].shape == (width, config["n_inner"])
    if part == "text":
        assert tensors["word_embeddings.weight"].shape == (config["vocab_size"], width)
    else:
        patches = (config["img_size"] // config["patch_size"]) ** 2
        assert tensors["pos_embed"].shape == (1, 1 + patches, width)


def test_each_mistake_with_an_image_moves_its_vector_far_beyond_the_gate(directory: Path) -> None:
    content = (Path(__file__).parents[1] / "corpus" / "images" / "gradient.png").read_bytes()
    image = pixels.pixels(content, directory)
    encoder = nomic._read(directory / "vision")
    config = json.loads((directory / "preprocessor_config.json").read_bytes())
    shares = np.moveaxis(image, 0, -1) * config["image_std"] + config["image_mean"]

    def first(altered: Vector) -> Vector:
        state: Vector = nomic._image(*encoder, altered)[0]
        return state

    right = unit(first(image))
    mistakes = {
        "the mean of the states": nomic._image(*encoder, image).mean(axis=0),
        "blue first": first(image[::-1]),
        "mirrored": first(image[:, :, ::-1]),
        "columns for rows": first(image.transpose(0, 2, 1)),
        "colours as shares": first(np.moveaxis(shares, -1, 0)),
    }
    near = {
        name: distance
        for name, vector in mistakes.items()
        if (distance := float(np.linalg.norm(unit(vector) - right))) < 100 * GATE
    }
    assert near == {}


def unit(vector: Vector) -> Vector:
    scaled: Vector = vector / np.linalg.norm(vector)
    return scaled
