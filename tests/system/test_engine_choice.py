"""Which engine is taken: a named one, the system's if it will do, else the private one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from builders import engine
from builders.engine import Engine
from builders.engine import configuration as engine_config
from builders.engine import private as private_engine
from builders.errors import EngineError
from tests.system.conftest import Own

pytestmark = pytest.mark.engine


def as_the_systems(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Let `docker` of this process use an engine, as if it were the system's own."""
    for name in ("PATH", "DOCKER_CONFIG", "BUILDX_CONFIG", "DOCKER_HOST"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.delenv(engine.ENGINE_VARIABLE, raising=False)


def test_the_systems_engine_is_used_if_it_can_do_what_is_needed(
    private: Engine, own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_the_systems(monkeypatch, private.environment)
    notes: list[str] = []
    found = engine.find(own.cache, note=notes.append)
    assert (found.kind, found.host) == ("system", private.host)
    assert notes == [f"probing {private.host}"]
    assert engine.find(own.cache, note=notes.append) == found
    assert len(notes) == 1  # a passed probe is not repeated
    status = engine.status(own.cache)
    assert (status.engine, status.private, status.reason) == (found, False, "")


def test_a_named_engine_is_used(
    private: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    as_the_systems(monkeypatch, private.environment)
    monkeypatch.delenv("DOCKER_HOST")
    found = engine.find(tmp_path, named=private.host, note=print)
    assert (found.kind, found.host) == ("named", private.host)


def test_an_engine_that_changes_digests_is_not_used(
    own: Own, packages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Docker with its classic image store, as most are: refused by name, passed over else."""
    write = engine_config.dockerd_json
    classic = Own(tmp_path / "classic", packages)
    with contextlib.ExitStack() as stack, monkeypatch.context() as changed:
        stack.callback(classic.stop)
        changed.setattr(
            engine_config,
            "dockerd_json",
            lambda places, init: write(places, init).replace(
                '"containerd-snapshotter": true', '"containerd-snapshotter": false'
            ),
        )
        started = private_engine.start(classic.cache, note=print, packages=packages)
        changed.undo()
        as_the_systems(changed, started.environment)
        for _ in range(2):  # a failed probe is repeated
            with pytest.raises(EngineError, match="does not use the containerd image store"):
                engine.find(own.cache, named=classic.places.host, note=print)
        found = engine.find(own.cache, note=print, packages=packages)
        assert (found.kind, found.host) == ("private", own.places.host)
        assert "containerd image store" in engine.status(own.cache, packages=packages).reason
