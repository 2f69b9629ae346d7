"""Which packages make an engine is data; their programs are gathered by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.engine.packages import (
    PROGRAMS,
    RELEASES,
    Recipe,
    existing,
    gather,
    obtain,
    recipe,
)
from builders.errors import EngineError

BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm", "PRETTY_NAME": "Debian 12"}


def bookworm(architecture: str = "amd64") -> Recipe:
    return recipe(BOOKWORM, architecture=architecture)


def test_bookworm_takes_runc_from_bookworm_and_the_rest_from_trixie() -> None:
    suites = dict(bookworm().suites)
    assert list(suites) == ["bookworm", "trixie"]
    assert "runc" in suites["bookworm"]
    assert {"docker.io", "docker-cli", "docker-buildx", "qemu-user"} <= set(suites["trixie"])


@pytest.mark.parametrize("release", list(RELEASES))
def test_every_release_has_what_an_engine_consists_of(release: tuple[str, str]) -> None:
    _, suites = RELEASES[release]
    names = {name for _, packages in suites for name in packages}
    assert {"docker.io", "docker-buildx", "containerd", "runc", "tini"} <= names
    assert names & {"qemu-user", "qemu-user-static"}


def test_an_unknown_system_is_told_what_to_do() -> None:
    release = {"ID": "fedora", "VERSION_CODENAME": "", "PRETTY_NAME": "Fedora 41"}
    with pytest.raises(EngineError, match="no private engine can be made on Fedora 41") as caught:
        recipe(release, architecture="amd64")
    assert "debian bookworm" in caught.value.remedy


def test_another_recipe_has_another_folder() -> None:
    assert bookworm().name == bookworm().name
    assert bookworm().name != bookworm("arm64").name


def test_programs_that_are_there_are_not_fetched(tmp_path: Path) -> None:
    directory = tmp_path / bookworm().name
    directory.mkdir()
    (directory / "packages.json").write_text(json.dumps({"runc": "1.1.5"}))
    notes: list[str] = []
    programs = obtain(tmp_path, bookworm(), note=notes.append)
    assert programs.versions == {"runc": "1.1.5"}
    assert programs.bin == directory / "bin"
    assert notes == []


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert existing(tmp_path, bookworm()) is None


def test_programs_are_gathered_wherever_they_lie(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for place in ("usr/sbin/dockerd", "usr/libexec/docker/cli-plugins/docker-buildx"):
        (tree / place).parent.mkdir(parents=True)
        (tree / place).write_text(place)
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/qemu-aarch64-static").write_text("static")
    (tree / "usr/bin/dockerd").symlink_to("../sbin/dockerd")
    gather(tree, tmp_path / "bin", ("dockerd", "docker-buildx", "qemu-aarch64"))
    gathered = {path.name: path.read_text() for path in (tmp_path / "bin").iterdir()}
    assert gathered == {
        "dockerd": "usr/sbin/dockerd",
        "docker-buildx": "usr/libexec/docker/cli-plugins/docker-buildx",
        "qemu-aarch64": "static",
    }


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(EngineError, match="hold no program docker"):
        gather(tmp_path / "tree", tmp_path / "bin", PROGRAMS)
