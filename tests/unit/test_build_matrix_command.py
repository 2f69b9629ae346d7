"""Where `build-matrix` publishes."""

from __future__ import annotations

from pathlib import Path

from builders import matrix
from builders.commands.build_matrix import publisher
from builders.parcels.opening import Parcels
from builders.project import Project
from builders.stages import Options
from builders.store import Store

PLACES = ("oci:dist/others", "docker://registry.example/acme")


def checkout(root: Path) -> Project:
    found = matrix.load(Path(__file__).with_name("matrix.yaml"))
    return Project(
        root=root,
        matrix=found.model_copy(update={"publication": PLACES}),
        store=Store(root / "cache"),
    )


def test_a_whole_run_publishes_everywhere(tmp_path: Path) -> None:
    project = checkout(tmp_path)
    found = publisher(project, Options(jobs=1, rebuild=False, reprove=False))
    assert found.registries == ("registry.example/acme",)
    assert found.publication == tmp_path / "dist" / "others"


def test_a_part_of_a_run_publishes_in_its_directory_alone(tmp_path: Path) -> None:
    parcels = Parcels(directory=tmp_path, by_cell={})
    options = Options(jobs=1, rebuild=False, reprove=False, parcels=parcels)
    found = publisher(checkout(tmp_path), options)
    assert found.registries == ()
    assert found.publication == tmp_path / "dist" / "others"
