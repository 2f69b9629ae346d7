"""The lock session renews the locks of backends, of what builds their wheels, and of Debian."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from builders.lock.session import debian_locks, wheel_locks

LINUX = ("linux/amd64", "linux/arm64")
ALL = (*LINUX, "darwin/arm64")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two backends, of which one builds a wheel."""
    recipe = tmp_path / "llama-cpp/wheels/llama-cpp-python"
    recipe.mkdir(parents=True)
    (recipe / "recipe.toml").write_text("")
    (tmp_path / "onnxruntime").mkdir()
    return tmp_path


def test_what_builds_wheels_is_locked_for_where_they_are_built(images: Path) -> None:
    recipe = images / "llama-cpp/wheels/llama-cpp-python"
    assert wheel_locks(images, {"llama-cpp": ALL, "onnxruntime": ALL}) == (
        (images / "llama-cpp", ALL),
        (recipe, ALL),
        (images / "onnxruntime", ALL),
    )
    # For one platform only, still built on whichever there is.
    assert wheel_locks(images, {"llama-cpp": ["linux/arm64"]})[1] == (recipe, LINUX)


def test_the_wheel_stage_is_locked_where_a_backend_needs_it(images: Path) -> None:
    base = tuple((images / "base", platform) for platform in LINUX)
    toolchain = tuple((images / "toolchain", platform) for platform in LINUX)
    assert debian_locks(images, {"onnxruntime": ALL}) == base
    assert debian_locks(images, {"onnxruntime": ALL, "llama-cpp": ALL}) == (*base, *toolchain)
    assert debian_locks(images, {"llama-cpp": ["linux/arm64"]}) == (base[1], *toolchain)


@pytest.mark.parametrize(
    "module", ["lock.session", "lock.wheels", "network.indexes", "network.locating"]
)
def test_each_module_can_be_the_first_that_is_imported(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import builders.{module}"], check=True)
