"""Wheels that are compiled on the host, with a Mac's values."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from builders import host_venv, matrix
from builders.errors import BuildError
from builders.files import sha256_of
from builders.lock.wheels import Source, WheelLock
from builders.paths import ROOT
from builders.project import Project
from builders.store import Store
from builders.wheelhouse import local
from builders.wheelhouse.recipe import Document, WheelRecipe

PYTHON = Path("/Users/ann/Library/Caches/equivec/derived/hosts/1/bin/python")


def recipe(**settings: str | tuple[str, ...]) -> WheelRecipe:
    return WheelRecipe(
        name="pkg",
        directory=Path("/Users/ann/equivec/images/pkg/wheels/pkg"),
        document=Document(
            libraries=("pkg/lib/*.so",), settings={"of": "the stage"}, host_settings=settings
        ),
    )


def test_the_command_on_a_mac() -> None:
    settings: dict[str, str | tuple[str, ...]] = {
        "cmake.define.GGML_METAL": "OFF",
        "wheel.exclude": ("a/**", "b/**"),
    }

    found = local.argv(
        recipe(**settings), Path("/cache/sources/1/pkg-1.0.tar.gz"), PYTHON, Path("/cache/out")
    )

    assert found == (
        *(find_uv_bin(), "build", "--wheel", "--no-build-isolation", "--python", str(PYTHON)),
        *("--offline", "--no-cache", "--no-config", "--quiet", "--out-dir", "/cache/out"),
        *("--config-setting", "cmake.define.GGML_METAL=OFF"),
        *("--config-setting", "wheel.exclude=a/**", "--config-setting", "wheel.exclude=b/**"),
        "/cache/sources/1/pkg-1.0.tar.gz",
    )


def test_the_stages_settings_are_not_the_hosts() -> None:
    assert not any(
        "the stage" in word for word in local.argv(recipe(), Path("a"), PYTHON, Path("o"))
    )


def test_what_builds_it_comes_before_the_systems_programs() -> None:
    environment = {
        "HOME": "/Users/ann",
        "PATH": "/opt/homebrew/bin:/usr/bin:/bin",
        "TMPDIR": "/var/folders/x/",
        "CFLAGS": "-march=native",
        "CMAKE_ARGS": "-DGGML_METAL=ON",
        "PIP_INDEX_URL": "https://example.org",
        "VIRTUAL_ENV": "/Users/ann/.venv",
    }

    assert local.build_environment(environment, PYTHON.parent) == {
        "HOME": "/Users/ann",
        "PATH": f"{PYTHON.parent}:/opt/homebrew/bin:/usr/bin:/bin",
        "TMPDIR": "/var/folders/x/",
    }


def test_without_a_path_there_are_the_systems_programs() -> None:
    assert local.build_environment({}, Path("/env/bin")) == {"PATH": "/env/bin:/bin:/usr/bin"}


def test_what_does_not_compile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its source archive is none: the build ends at once."""
    store = Store(tmp_path / "cache")
    empty = store.partial("0" * 64)
    empty.write_bytes(b"no archive")
    digest = sha256_of(empty)
    assert store.add(digest, empty) is not None
    source = Source(
        name="pkg", version="1.0", sha256=digest, file="pkg-1.0.tar.gz", size=10, wheels=()
    )
    locked = WheelLock(path=tmp_path, platform="linux/amd64", wheels=(), sources=())
    monkeypatch.setattr(host_venv, "python", lambda *_: Path(sys.executable))
    project = Project(root=ROOT, matrix=matrix.load(ROOT / "matrix.yaml"), store=store)
    (tmp_path / "out").mkdir()

    with pytest.raises(BuildError, match=r"(?s)pkg does not compile on this host: .*\n.*compilers"):
        local.compile_wheel(project, recipe(), source, locked, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.whl"))
