from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from embedding_service import recipe as recipes
from embedding_service import vendored
from embedding_service.errors import ModelError
from tests.unit.service.tiny_model import write_recipe

ENCODER = """\
from .sizes import WIDTH


class Encoder:
    width = WIDTH
"""


def write(directory: Path, auto_map: Any, *, width: int = 6, encoder: str = ENCODER) -> Path:
    """Write a model directory with two modules of code and a configuration."""
    (directory / "code").mkdir(parents=True)
    (directory / "code" / "encoder.py").write_text(encoder, encoding="utf-8")
    (directory / "code" / "sizes.py").write_text(f"WIDTH = {width}\n", encoding="utf-8")
    config = {} if auto_map is None else {"auto_map": auto_map}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_recipe(directory, format="remote-code")
    return directory


def loaded(directory: Path) -> Any:
    recipe = recipes.read(directory)
    recipes.verify(directory, recipe)
    return vendored.model_class(directory / "config.json", directory, recipe)


@pytest.mark.parametrize(
    "reference", ["encoder.Encoder", "nomic-ai/nomic-bert-2048--encoder.Encoder"]
)
def test_the_class_is_that_of_the_file_that_came_along(reference: str, tmp_path: Path) -> None:
    encoder = loaded(write(tmp_path / "model", {"AutoModel": reference}))
    assert encoder.width == 6


def test_importing_it_writes_nothing(tmp_path: Path) -> None:
    model_dir = write(tmp_path / "model", {"AutoModel": "encoder.Encoder"})
    before = sys.dont_write_bytecode
    loaded(model_dir)
    assert sys.dont_write_bytecode == before
    recipes.verify(model_dir, recipes.read(model_dir))


def test_the_code_of_another_model_is_not_taken_for_it(tmp_path: Path) -> None:
    auto_map = {"AutoModel": "encoder.Encoder"}
    first = loaded(write(tmp_path / "first", auto_map, width=6))
    second = loaded(write(tmp_path / "second", auto_map, width=7))
    assert (first.width, second.width) == (6, 7)


@pytest.mark.parametrize(
    "auto_map",
    [
        {"AutoModel": "other.Encoder"},
        {"AutoModel": "owner/name--other.Encoder"},
        # A class that is not used could be, by whoever reads the configuration next.
        {"AutoModel": "encoder.Encoder", "AutoModelForMaskedLM": "owner/name--other.Encoder"},
    ],
)
def test_code_that_is_not_part_of_the_model_is_refused(
    auto_map: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"has no code/other\.py: code is vendored"):
        loaded(write(tmp_path / "model", auto_map))


def test_a_file_that_lies_there_undeclared_is_refused(tmp_path: Path) -> None:
    model_dir = write(tmp_path / "model", {"AutoModel": "other.Encoder"})
    (model_dir / "code" / "other.py").write_text("class Encoder: ...\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"holds code/other\.py, not named by model\.json"):
        recipes.verify(model_dir, recipes.read(model_dir))
    with pytest.raises(ModelError, match=r"has no code/other\.py"):
        vendored.model_class(model_dir / "config.json", model_dir, recipes.read(model_dir))


def test_code_that_is_altered_by_a_byte_is_refused(tmp_path: Path) -> None:
    model_dir = write(tmp_path / "model", {"AutoModel": "encoder.Encoder"})
    (model_dir / "code" / "sizes.py").write_text("WIDTH = 7\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"sizes\.py is altered: its sha256 is"):
        loaded(model_dir)


@pytest.mark.parametrize(
    "reference", ["encoder", "../encoder.Encoder", "a/b/c--encoder.Encoder", ["x.Y", "x.Z"], None]
)
def test_a_reference_of_another_form_is_refused(reference: object, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is not FILE\.CLASS"):
        loaded(write(tmp_path / "model", {"AutoModel": reference}))


@pytest.mark.parametrize("auto_map", [None, {}, {"AutoConfig": "encoder.Encoder"}])
def test_a_configuration_without_code_of_its_own_is_refused(
    auto_map: dict[str, str] | None, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="its auto_map has no AutoModel"):
        loaded(write(tmp_path / "model", auto_map))


@pytest.mark.parametrize("content", ["", "[]", '{"auto_map": 1}'])
def test_a_malformed_configuration_is_refused(content: str, tmp_path: Path) -> None:
    model_dir = write(tmp_path / "model", {"AutoModel": "encoder.Encoder"})
    (model_dir / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        vendored.model_class(model_dir / "config.json", model_dir, recipes.read(model_dir))


def test_a_class_that_the_code_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"wants Decoder, and code/encoder\.py has none"):
        loaded(write(tmp_path / "model", {"AutoModel": "encoder.Decoder"}))


@pytest.mark.parametrize(
    ("encoder", "missing"),
    [
        ("import a_library_that_nobody_has\n", "a_library_that_nobody_has"),
        ("from .shapes import SHAPE\n", r"vendored_\w+\.shapes"),
    ],
)
def test_code_that_needs_what_is_not_there_is_refused(
    encoder: str, missing: str, tmp_path: Path
) -> None:
    model_dir = write(tmp_path / "model", {"AutoModel": "encoder.Encoder"}, encoder=encoder)
    with pytest.raises(ModelError, match=f"the code of tiny cannot be imported: .*'{missing}'"):
        loaded(model_dir)
