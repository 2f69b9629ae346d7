from __future__ import annotations

from pathlib import Path

import pytest

from embedding_service import models, recipe
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from tests.unit.service.tiny_model import write_recipe


def write(directory: Path, **changes: object) -> Path:
    directory.mkdir(parents=True)
    write_recipe(directory, **changes)
    return directory


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A model of its own, and two others beside it, with what else a volume holds."""
    inside = tmp_path / "models"
    write(inside / "x", name="small", precision="q8_0")
    write(inside / "y", name="other", vector_space="sha256:" + "6" * 64)
    write(inside / ".snapshot", name="hidden")
    write(inside / "broken", name="")
    (inside / "lost+found").mkdir()
    (inside / "note.txt").write_text("no directory", encoding="utf-8")
    return Settings(model_dir=write(tmp_path / "own", name="own"), models_dir=inside)


def named(settings: Settings, name: str | None) -> Settings:
    return settings.changed({"model": name}, by="request", where="test")


@pytest.mark.parametrize(
    ("name", "place"), [(None, "own"), ("own", "own"), ("small", "models/x"), ("other", "models/y")]
)
def test_a_name_leads_to_its_directory(
    settings: Settings, tmp_path: Path, name: str | None, place: str
) -> None:
    assert models.chosen(named(settings, name)).model_dir == tmp_path / place


@pytest.mark.parametrize("name", ["nobody", "x", "hidden", "../own", "broken"])
def test_what_is_no_models_name_leads_nowhere(settings: Settings, name: str) -> None:
    with pytest.raises(ModelError, match=r"is at hand; there are: other, own, small$"):
        models.chosen(named(settings, name))


def test_a_name_of_two_models_leads_nowhere(settings: Settings, tmp_path: Path) -> None:
    write(tmp_path / "models" / "z", name="small")
    with pytest.raises(ModelError, match=r"x and .*z both hold small"):
        models.chosen(named(settings, "small"))


def test_a_twin_of_the_models_own_directory_is_no_question(
    settings: Settings, tmp_path: Path
) -> None:
    write(tmp_path / "models" / "z", name="own")
    assert models.chosen(named(settings, "own")).model_dir == tmp_path / "own"


def test_a_name_is_checked_where_there_is_one_directory_only(tmp_path: Path) -> None:
    settings = Settings(model_dir=write(tmp_path / "own", name="own"), model="expected")
    with pytest.raises(ModelError, match="no model expected is at hand; there are: own"):
        models.chosen(settings)


def test_a_directory_of_models_that_is_not_there_holds_none(tmp_path: Path) -> None:
    own = write(tmp_path / "own", name="own")
    settings = Settings(model_dir=own, models_dir=tmp_path / "nowhere")
    assert list(models.at_hand(settings)) == [own]


def test_variants_are_other_precisions_of_the_same_space(settings: Settings) -> None:
    assert models.variants(settings, recipe.read(settings.model_dir)) == ["q8_0"]
    small = models.chosen(named(settings, "small"))
    assert models.variants(small, recipe.read(small.model_dir)) == []
