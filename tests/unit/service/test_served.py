from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from embedding_service import recipe
from embedding_service.errors import SettingsError
from embedding_service.served import Served
from embedding_service.settings import Settings
from tests.unit.service.tiny_model import SPACE, write_recipe

SHORTER = "sha256:" + "6" * 64


def served(directory: Path, settings: Settings | None = None, **changes: object) -> Served:
    directory.mkdir(exist_ok=True)
    write_recipe(directory, **changes)
    return Served.of(recipe.read(directory), settings or Settings())


def test_what_is_served_follows_from_the_recipe(tmp_path: Path) -> None:
    assert served(tmp_path) == Served(
        provider="local", model="tiny", vector_space=SPACE, dimensions=6, precision="float32"
    )


@pytest.mark.parametrize(
    ("weights", "numbers", "precision"),
    [
        ("float32", "float32", "float32"),
        ("float32", "float16", "float16"),
        ("int8", "float16", "int8"),
        ("float16", "float32", "float16"),
    ],
)
def test_the_precision_is_the_coarser_one(
    tmp_path: Path, weights: str, numbers: str, precision: str
) -> None:
    settings = Settings().changed({"precision": numbers}, by="request", where="test")
    assert served(tmp_path, settings, precision=weights).precision == precision


def test_shorter_vectors_are_of_their_own_space(tmp_path: Path) -> None:
    matryoshka = {"layer_norm": True, "spaces": {"3": SHORTER}}
    shorter = served(tmp_path, Settings(dimensions=3), matryoshka=matryoshka)
    assert (shorter.dimensions, shorter.vector_space) == (3, SHORTER)
    with pytest.raises(SettingsError, match=r"EMBEDDING_DIMENSIONS is 4: tiny has .*: 6, 3"):
        served(tmp_path, Settings(dimensions=4), matryoshka=matryoshka)


def test_the_id_is_the_same_wherever_the_same_is_served(tmp_path: Path) -> None:
    elsewhere = Settings(port=9, queue=5, model_dir=Path("/elsewhere"))
    assert served(tmp_path / "b", elsewhere).config_id == served(tmp_path / "a").config_id
    # It stays what it is: clients keep it.
    assert served(tmp_path / "a").config_id == (
        "sha256:2ce321da99d6e52dec594b2d7d9a64463b3fbba25baecaac81ae307b7ff34139"
    )


def test_every_part_of_what_is_served_decides_the_id(tmp_path: Path) -> None:
    one = served(tmp_path)
    others = [
        dataclasses.replace(one, provider="openai"),
        dataclasses.replace(one, model="other"),
        dataclasses.replace(one, vector_space=SHORTER),
        dataclasses.replace(one, dimensions=3),
        dataclasses.replace(one, precision="float16"),
    ]
    assert len(others) == len(dataclasses.fields(Served))
    assert len({each.config_id for each in (one, *others)}) == 6
