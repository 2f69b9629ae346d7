"""Cleaning a cache whose engine runs: its images go, and the engine goes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builders.engine import Engine
from builders.engine import images as engine_images
from builders.engine.connection import connect
from builders.paths import ROOT
from builders.store import Store
from tests.system.conftest import Images

pytestmark = pytest.mark.engine


def clean(private: Engine, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builders", "clean", *words],
        cwd=ROOT,
        env={
            **os.environ,
            **private.environment,
            "EQUIVEC_CACHE": str(cache),
            "EQUIVEC_ENGINE": private.host,
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_images_that_are_not_kept_go_and_no_others(
    private: Engine, images: Images, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with connect(private.environment) as client:
        digest = engine_images.load(client, images.native)
        client.images.get(digest).tag("somebody/elses", "1")
        told = clean(private, cache, "--keep", "0", "--dry-run")
        assert told.returncode == 0, told.stderr
        # The engine may have other tests' images, which go too.
        assert re.search(r"engine: would delete [1-9]\d* images", told.stdout), told.stdout
        assert engine_images.has(client, digest)
        told = clean(private, cache, "--keep", "0")
        assert told.returncode == 0, told.stderr
        assert re.search(r"engine: deleted [1-9]\d* images", told.stdout), told.stdout
        assert client.images.get(digest).tags == ["somebody/elses:1"]
        engine_images.remove(client, ["somebody/elses:1"])
        assert not engine_images.has(client, digest)


def test_the_build_cache_shrinks(private: Engine, images: Images) -> None:
    """The image was built by this engine."""
    with connect(private.environment) as client:
        assert engine_images.shrink_build_cache(client, 0) > 0
        assert engine_images.shrink_build_cache(client, 0) == 0


def test_a_cache_in_use_is_left_alone(private: Engine, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    made = store.derived("roots", "0" * 64, lambda _: None)
    refused = clean(private, store.cache, "--keep", "0")
    assert refused.returncode == 15
    assert "the cache is in use by another command" in refused.stderr
    assert made.exists()
    del store
    assert clean(private, tmp_path / "cache", "--keep", "0").returncode == 0
    assert not made.exists()
