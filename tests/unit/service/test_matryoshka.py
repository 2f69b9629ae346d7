from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedding_service import matryoshka
from embedding_service import recipe as recipes
from embedding_service.recipe import Matryoshka, Recipe
from tests.unit.service.tiny_model import SPACE, write_recipe

SPACES = {"4": "sha256:" + "4" * 64, "2": "sha256:" + "2" * 64}


@pytest.fixture
def plain(tmp_path: Path) -> Recipe:
    write_recipe(tmp_path)
    return recipes.read(tmp_path)


def able(recipe: Recipe, *, layer_norm: bool) -> Recipe:
    may = Matryoshka(layer_norm=layer_norm, spaces=SPACES)
    return recipe.model_copy(update={"matryoshka": may})


def vectors(rows: int = 5) -> NDArray[np.float32]:
    found = np.random.default_rng(11).normal(loc=0.3, size=(rows, 6))
    unit: NDArray[np.float32] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype("f4")
    return unit


def layer_norm(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what `torch.nn.functional.layer_norm` does by default, with its epsilon."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    scaled: NDArray[np.float64] = centred / np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)
    return scaled


def test_a_model_without_shorter_vectors_has_its_own_length(plain: Recipe) -> None:
    assert matryoshka.dimensions(plain) == [6]
    assert matryoshka.space(plain, 6) == SPACE
    assert matryoshka.space(plain, 4) is None


def test_each_length_has_a_space_of_its_own(plain: Recipe) -> None:
    recipe = able(plain, layer_norm=False)
    assert matryoshka.dimensions(recipe) == [6, 4, 2]
    assert matryoshka.space(recipe, 6) == SPACE
    assert matryoshka.space(recipe, 4) == SPACES["4"]
    for other in (3, 0, -4, 7):
        assert matryoshka.space(recipe, other) is None


@pytest.mark.parametrize("dimension", [4, 2])
def test_a_vector_is_cut_and_scaled_to_length_1(plain: Recipe, dimension: int) -> None:
    found = matryoshka.shortened(vectors(), able(plain, layer_norm=False), dimension)
    assert found.dtype == np.float32
    assert found.shape == (5, dimension)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    cut = vectors()[:, :dimension]
    np.testing.assert_allclose(found * np.linalg.norm(cut, axis=1, keepdims=True), cut, atol=1e-6)


@pytest.mark.parametrize("dimension", [4, 2])
def test_nomics_rule_is_a_layer_normalisation_before_the_cut(plain: Recipe, dimension: int) -> None:
    """By the model card: pooled, not normalised; layer_norm; [:, :dimension]; normalize."""
    pooled = np.random.default_rng(5).normal(loc=0.3, scale=2, size=(5, 6))
    cut = layer_norm(pooled)[:, :dimension]
    expected = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    unit = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)
    found = matryoshka.shortened(unit, able(plain, layer_norm=True), dimension)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    without = matryoshka.shortened(unit, able(plain, layer_norm=False), dimension)
    assert np.abs(without - expected).max() > 0.05


def test_vectors_of_the_models_own_length_stay_as_they_are(plain: Recipe) -> None:
    for recipe in (plain, able(plain, layer_norm=True)):
        np.testing.assert_array_equal(matryoshka.shortened(vectors(), recipe, 6), vectors())


def test_what_is_given_is_not_changed(plain: Recipe) -> None:
    given = vectors()
    matryoshka.shortened(given, able(plain, layer_norm=True), 4)
    np.testing.assert_array_equal(given, vectors())


def test_a_vector_does_not_depend_on_those_beside_it(plain: Recipe) -> None:
    recipe = able(plain, layer_norm=True)
    together = matryoshka.shortened(vectors(), recipe, 4)
    for row in range(5):
        alone = matryoshka.shortened(vectors()[row : row + 1], recipe, 4)
        np.testing.assert_array_equal(together[row : row + 1], alone)
