"""Which engine is taken, and what is said where none is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from builders import engine
from builders.engine import parse_builder
from builders.errors import EngineError

DEBIAN_TRIXIE = """\
Name:   default
Driver: docker

Nodes:
Name:             default
Endpoint:         default
Status:           running
BuildKit version: v0.0.0+unknown
Platforms:        linux/amd64, linux/amd64/v2, linux/amd64/v3, linux/arm64
Labels:
 org.mobyproject.buildkit.worker.hostname:             vm
"""


def test_a_builder_says_what_it_runs() -> None:
    assert parse_builder(DEBIAN_TRIXIE) == ("v0.0.0+unknown", ("linux/amd64", "linux/arm64"))


def test_a_preferred_platform_is_one() -> None:
    text = "BuildKit version: v0.17.1\nPlatforms: linux/arm64*, linux/amd64, linux/arm/v7\n"
    assert parse_builder(text) == ("v0.17.1", ("linux/arm64", "linux/amd64"))


def test_a_builder_that_says_nothing_runs_nothing() -> None:
    assert parse_builder("") == ("", ())


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(engine.ENGINE_VARIABLE, raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def find(cache: Path, named: str) -> None:
    engine.find(cache, named=named, note=print)


def test_without_docker_or_root_it_says_what_to_do(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineError, match="no Docker command line") as caught:
        find(tmp_path, "auto")
    assert "a private engine needs root" in caught.value.problem


def test_on_a_mac_it_names_docker_desktop() -> None:
    assert "Docker Desktop" in engine.remedy("darwin")
    assert "Debian 12" in engine.remedy("linux")


def test_a_named_engine_is_not_replaced_by_another(nothing_installed: None, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot connect to the Docker engine"):
        find(tmp_path, f"unix://{tmp_path}/none.sock")


def test_the_environment_comes_before_the_matrix(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(engine.ENGINE_VARIABLE, f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match="cannot connect to the Docker engine"):
        find(tmp_path, "private")


def test_an_engine_of_another_machine_is_refused(nothing_installed: None, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="another machine") as caught:
        find(tmp_path, "ssh://builder.example")
    assert caught.value.where == "ssh://builder.example"
