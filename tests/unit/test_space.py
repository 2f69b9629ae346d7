from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builders.matrix import Format, Matryoshka, Model, load
from builders.space import HubFile, recipe, shorter_space, vector_space
from embedding_service import matryoshka
from embedding_service import recipe as service

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
        {"preprocessor": DIGEST},
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
        {"citation": "A. Author, 2026"},
        {"matryoshka": Matryoshka(dimensions=(512,))},
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
        *("dense_layers", "dimension", "prompts", "default_prompt", "preprocessor"),
    }
    outside = {
        *("source", "licence", "max_tokens", "precision", "formats", "inputs"),
        *("files", "known_answers", "citation", "matryoshka"),
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
        "licence": "Apache-2.0",
        "source": "fixture:fixture-768",
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


def test_shorter_vectors_are_in_spaces_of_their_own(model: Model) -> None:
    sliced = model.model_copy(update={"matryoshka": Matryoshka(dimensions=(128, 512))})
    centred = model.model_copy(
        update={"matryoshka": Matryoshka(dimensions=(128, 512), layer_norm=True)}
    )
    # A change of this digest makes every index of such vectors unusable.
    assert shorter_space(centred, 512) == (
        "sha256:45fd822b1ab16b2c5bd2934118c7d07d54a68815a7b63e876ad443947003aecb"
    )
    spaces = {
        vector_space(model),
        *(shorter_space(each, length) for each in (sliced, centred) for length in (128, 512)),
    }
    assert len(spaces) == 5


def test_a_shortened_vector_is_of_the_space_of_whoever_has_only_that_length(model: Model) -> None:
    """Such as an API that shortens: its vectors are the same."""
    long = model.model_copy(
        update={"matryoshka": Matryoshka(dimensions=(512,)), "normalize": False}
    )
    assert shorter_space(long, 512) == vector_space(model.model_copy(update={"dimension": 512}))


def test_a_recipe_names_the_space_of_each_length_the_longest_first(model: Model) -> None:
    shorter = Matryoshka(dimensions=(64, 512), layer_norm=True)
    document = json.loads(
        recipe(
            "m", model.model_copy(update={"matryoshka": shorter}), file_format="onnx", files={}
        ).to_json()
    )
    assert list(document["matryoshka"]["spaces"]) == ["512", "64"]
    assert document["matryoshka"]["layer_norm"] is True


def test_a_recipe_says_whose_the_model_is_and_where_a_hub_has_it(model: Model) -> None:
    cited = model.model_copy(update={"citation": "A. Author, 2026"})
    at = HubFile(repository="owner/model", commit="0" * 40, path="onnx/model.onnx", size=3)
    document = json.loads(
        recipe("m", cited, file_format="onnx", files={"a": "1" * 64}, sources={"a": at}).to_json()
    )
    assert (document["licence"], document["citation"]) == ("Apache-2.0", "A. Author, 2026")
    assert document["sources"] == {"a": at.model_dump()}


def test_a_recipe_names_no_directory_of_a_machine(model: Model) -> None:
    local = model.model_copy(update={"source": "file:/srv/models/mine"})
    assert "/srv" not in recipe("m", local, file_format="onnx", files={}).to_json()


@pytest.mark.parametrize("form", ["onnx", "gguf"])
def test_the_service_reads_every_recipe_of_the_matrix(tmp_path: Path, form: Format) -> None:
    for name, entry in load(ROOT / "matrix.yaml").models.items():
        text = recipe(name, entry, file_format=form, files={}).to_json()
        (tmp_path / "model.json").write_text(text, encoding="utf-8")
        read = service.read(tmp_path)
        assert matryoshka.space(read, read.dimension) == vector_space(entry)
        lengths = entry.matryoshka.dimensions if entry.matryoshka else ()
        assert matryoshka.dimensions(read) == [entry.dimension, *sorted(lengths, reverse=True)]


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
