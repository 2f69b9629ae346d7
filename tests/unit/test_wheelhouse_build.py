"""A wheel's key: it changes with each thing that determines the wheel, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders.errors import LockError
from builders.lock import wheels as wheel_lock
from builders.project import Project
from builders.wheelhouse import build
from builders.wheelhouse.build import WheelBuild
from tests.unit.wheel_builds import (
    AMD64,
    ARM64,
    STAGE,
    checkout,
    debian_package,
    source,
    toolchain,
    wheel,
    write_lock,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return checkout(tmp_path)


def planned(project: Project, *, platform: str = AMD64) -> WheelBuild:
    (found,) = build.planned(project, "pkg", platform, toolchain())
    return found


def test_a_build_is_what_the_locks_say(project: Project) -> None:
    found = planned(project, platform=ARM64)
    recipe = project.images / "pkg" / "wheels" / "pkg"
    assert (found.platform, found.build_platform) == (ARM64, AMD64)
    assert found.source == source()
    assert found.recipe.directory == recipe
    assert found.requirements == wheel_lock.read(recipe, AMD64).digest
    assert found.toolchain == toolchain().digest
    assert found.epoch == project.matrix.epoch
    assert found.name == f"pkg {ARM64}"


def test_a_backend_with_wheels_only_builds_none(project: Project) -> None:
    lock = write_lock(project.images / "other", wheel("idna"), platform=AMD64)
    lock.path.with_name("wheels.json").write_text(wheel_lock.format_contents([lock]))
    assert build.planned(project, "other", AMD64, toolchain()) == ()


def test_a_source_without_a_recipe_is_refused(project: Project) -> None:
    (project.images / "pkg" / "wheels" / "pkg" / "recipe.toml").unlink()
    with pytest.raises(LockError, match="no wheel of pkg, and no recipe"):
        planned(project)


def test_the_key_is_the_same_for_another_checkout(project: Project, tmp_path: Path) -> None:
    other = checkout(tmp_path / "elsewhere")
    assert planned(project).key == planned(other).key
    assert len(planned(project).key) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"source": source(b"another")},
        {"platform": ARM64},
        {"build_platform": ARM64},
        {"requirements": "sha256:0"},
        {"toolchain": "sha256:0"},
        {"code": ("0", "0", "0")},
        {"epoch": 0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_changes_with_each_field(project: Project, change: dict[str, object]) -> None:
    plain = planned(project)
    assert replace(plain, **change).key != plain.key  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        *(f"toolchain/{name}" for name in STAGE),
        "pkg/wheels/pkg/recipe.toml",
        "pkg/wheels/pkg/fix.cmake",
    ],
)
def test_the_key_changes_with_each_file(project: Project, name: str) -> None:
    plain = planned(project).key
    with (project.images / name).open("a", encoding="utf-8") as file:
        file.write("# more\n")
    assert planned(project).key != plain


def test_the_key_changes_with_what_builds_it(project: Project) -> None:
    plain = planned(project).key
    recipe = project.images / "pkg" / "wheels" / "pkg"
    lock = write_lock(recipe, wheel("ninja", b"another"), platform=AMD64)
    lock.path.with_name("wheels.json").write_text(wheel_lock.format_contents([lock]))
    assert planned(project).key != plain


def test_the_key_changes_with_the_compilers(project: Project) -> None:
    drifted = toolchain(debian_package("gcc-12", b"another"))
    (other,) = build.planned(project, "pkg", AMD64, drifted)
    assert other.key != planned(project).key


def test_the_key_does_not_change_with_what_is_not_used(project: Project) -> None:
    plain = planned(project).key
    (project.images / "toolchain" / "test-packages.txt").touch()
    write_lock(project.images / "pkg" / "wheels" / "pkg", platform=ARM64)
    assert planned(project).key == plain
    # What builds it is the build platform's, whatever it is built for.
    assert planned(project, platform=ARM64).requirements == planned(project).requirements


def test_a_wheel_is_built_when_it_is_kept(project: Project) -> None:
    assert not build.is_built(project, planned(project))
    project.store.derived(build.KIND, planned(project).key, lambda _directory: None)
    assert build.is_built(project, planned(project))
    assert not build.is_built(project, planned(project, platform=ARM64))
