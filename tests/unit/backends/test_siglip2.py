"""What can be said of the backend without torch: tests/system has the rest."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tokenizers import Tokenizer

from builders.fixture.siglip_tokenizer import tokenizer_json, vocabulary
from embedding_service import recipe as recipes
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from tests.unit.backends import backend_module
from tests.unit.service.tiny_model import write_model, write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    return backend_module.load("siglip2")


@pytest.fixture
def tokenizer(tmp_path: Path, backend: ModuleType) -> Tokenizer:
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    loaded: Tokenizer = backend._tokenizer(tmp_path)
    return loaded


def test_with_the_module_no_library_is_imported(backend: ModuleType) -> None:
    assert "torch" in backend.Backend.libraries
    assert not {"torch", "transformers"} & sys.modules.keys()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"format": "onnx"}, "siglip2 takes models in the format transformers, not onnx"),
        ({"format": "transformers"}, "tiny is pooled by the model itself; its recipe says mean"),
        ({"format": "transformers", "pooling": "model"}, "has no model.safetensors"),
    ],
)
def test_a_recipe_for_another_backend_is_refused(
    backend: ModuleType, tmp_path: Path, recipe: dict[str, str], message: str
) -> None:
    write_recipe(write_model(tmp_path), **recipe)
    with pytest.raises(ModelError, match=message):
        backend.Backend.load(tmp_path, SETTINGS)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ('{"model_type": "siglip", "auto_map": {}}', "wants code of its own, which is never run"),
        ('{"model_type": "siglip2"}', "is of the type siglip2, not siglip"),
        ("{}", "is of the type None, not siglip"),
        ("{", "config.json cannot be read"),
    ],
)
def test_a_model_of_another_type_is_refused(
    backend: ModuleType, tmp_path: Path, configuration: str, message: str
) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(configuration)
    write_recipe(tmp_path, format="transformers", pooling="model")
    with pytest.raises(ModelError, match=message):
        backend.Backend.load(tmp_path, SETTINGS)


def test_upper_case_is_lower_case_to_it_and_the_file_is_not(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    as_written = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("A Photo, İÉ").ids == tokenizer.encode("a photo, i̇é").ids
    assert as_written.encode("A Photo").ids != as_written.encode("a photo").ids
    assert tokenizer.encode("THE CAT").ids == as_written.encode("the cat").ids


def test_each_text_ends_and_what_is_not_known_is_spelt_in_bytes(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("").tokens == ["<eos>"]
    assert tokenizer.encode("a the cat é").tokens == [
        *("a", "▁the", "▁cat", "▁", "<0xC3>", "<0xA9>", "<eos>")
    ]
    assert vocabulary().index("<pad>") == 0


def config(**changes: int) -> SimpleNamespace:
    sizes = {"projection": 6, "width": 6, "positions": 8, "words": 9, "image": 32} | changes
    return SimpleNamespace(
        text_config=SimpleNamespace(
            projection_size=sizes["projection"],
            max_position_embeddings=sizes["positions"],
            vocab_size=sizes["words"],
        ),
        vision_config=SimpleNamespace(hidden_size=sizes["width"], image_size=sizes["image"]),
    )


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"projection": 5}, "dimensions of a text's vector: 5 by config.json, 6 by the recipe"),
        ({"width": 5}, "dimensions of an image's vector: 5 by config.json, 6 by the recipe"),
        ({"positions": 64}, "tokens of a text: 64 by config.json, 8 by the recipe of tiny"),
        ({"words": 8}, "the tokenizer of tiny has 9 tokens; its config.json has rows for 8"),
        ({"image": 64}, "makes images of 32 x 32 pixels; config.json has positions for 64 x 64"),
    ],
)
def test_what_the_weights_are_not_for_is_refused(
    backend: ModuleType, tmp_path: Path, sizes: dict[str, int], message: str
) -> None:
    recipe = recipes.read(write_model(tmp_path))
    size = {"height": 32, "width": 32}
    backend._check(config(), recipe, words=9, size=size)
    with pytest.raises(ModelError, match=message):
        backend._check(config(**sizes), recipe, words=9, size=size)
