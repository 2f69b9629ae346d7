from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builders.matrix import Model, load
from builders.space import recipe, vector_space

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def model() -> Model:
    return Model(
        source="fixture:fixture-768",
        licence="Apache-2.0",
        dimension=768,
        max_tokens=2048,
        precision="float32",
        weights=f"sha256:{'1' * 64}",
        tokenizer=f"sha256:{'2' * 64}",
        pooling="mean",
        normalize=True,
        prompts={"query": "search_query: ", "document": "search_document: "},
        default_prompt=None,
    )


def test_a_vector_space_is_the_same_everywhere_and_always(model: Model) -> None:
    # A change of this digest makes every index that was built with such a model unusable.
    assert vector_space(model) == (
        "sha256:c69a86e054f2a5f0937398189e8eae5b7aaa60955eb75127907e44d5232843ae"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"weights": DIGEST},
        {"tokenizer": DIGEST},
        {"pooling": "cls"},
        {"normalize": False},
        {"dense_layers": True},
        {"dimension": 512},
        {"default_prompt": "query"},
        {"prompts": {}},
        {"prompts": {"query": "search_query: ", "document": "search_document:"}},
        {"prompts": {"queries": "search_query: ", "document": "search_document: "}},
        {"prompts": {"query": "search_document: ", "document": "search_query: "}},
    ],
)
def test_what_moves_vectors_into_another_space(model: Model, change: dict[str, object]) -> None:
    assert vector_space(model.model_copy(update=change)) != vector_space(model)


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "int8"},
        {"max_tokens": 512},
        {"source": "fixture:other"},
        {"licence": "MIT"},
        {"prompts": {"document": "search_document: ", "query": "search_query: "}},
    ],
)
def test_what_does_not(model: Model, change: dict[str, object]) -> None:
    changed = model.model_copy(update=change)
    assert changed != model or change.keys() == {"prompts"}
    assert vector_space(changed) == vector_space(model)


def test_every_field_of_a_model_is_in_its_space_or_known_not_to_be() -> None:
    inside = {
        *("weights", "tokenizer", "pooling", "normalize"),
        *("dense_layers", "dimension", "prompts", "default_prompt"),
    }
    outside = {
        *("source", "licence", "max_tokens", "precision", "formats", "inputs"),
        *("files", "known_answers"),
    }
    assert inside | outside == set(Model.model_fields)


def test_models_of_the_matrix_share_a_space_just_where_they_share_the_weights() -> None:
    models = load(ROOT / "matrix.yaml").models.values()
    spaces = {(vector_space(model), model.weights) for model in models}
    assert len(spaces) == len({space for space, _ in spaces}) == len({each for _, each in spaces})
    # Whoever has the same files in the same precision twice has made a mistake.
    assert len({(model.source, model.precision, model.formats) for model in models}) == len(models)


@pytest.mark.parametrize("name", ["fixture-768", "fixture-bert-384"])
def test_the_precisions_of_a_fixture_are_of_one_space(name: str) -> None:
    models = load(ROOT / "matrix.yaml").models
    siblings = [models[f"{name}{suffix}"] for suffix in ("", "-f16", "-q8-0")]
    assert {model.precision for model in siblings} == {"float32", "float16", "q8_0"}
    assert len({vector_space(model) for model in siblings}) == 1


def test_a_recipe_is_what_model_json_says(model: Model) -> None:
    files = {"tokenizer.json": "b" * 64, "model.onnx": "a" * 64}
    document = json.loads(recipe("fixture-768", model, file_format="onnx", files=files).to_json())
    space = document.pop("vector_space")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", space)
    assert document == {
        "name": "fixture-768",
        "dimension": 768,
        "max_tokens": 2048,
        "pooling": "mean",
        "normalize": True,
        "prompts": {"query": "search_query: ", "document": "search_document: "},
        "default_prompt": None,
        "precision": "float32",
        "format": "onnx",
        "files": files,
    }


def test_a_recipe_has_the_same_bytes_whatever_the_order_of_its_tables(model: Model) -> None:
    files = {"tokenizer.json": "b" * 64, "model.onnx": "a" * 64}
    turned = model.model_copy(update={"prompts": dict(reversed(list(model.prompts.items())))})
    texts = {
        recipe("m", model, file_format="onnx", files=files).to_json(),
        recipe("m", turned, file_format="onnx", files=dict(reversed(files.items()))).to_json(),
    }
    assert len(texts) == 1


def test_dense_layers_are_only_written_where_they_are_claimed(model: Model) -> None:
    """Every model.json without them keeps its bytes, and so its digest."""
    claimed = model.model_copy(update={"dense_layers": True})
    text = recipe("m", claimed, file_format="gguf", files={}).to_json()
    assert json.loads(text)["dense_layers"] is True
    assert "dense_layers" not in recipe("m", model, file_format="gguf", files={}).to_json()
