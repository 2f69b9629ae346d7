"""The private engine without its daemons: what is refused, what is recovered from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders import host
from builders.engine import configuration as engine_config
from builders.engine import private as private_engine
from builders.engine.configuration import Places
from builders.errors import EngineError


@pytest.fixture
def own(tmp_path: Path) -> Places:
    places = Places(root=tmp_path / "engine", run=tmp_path / "run", packages=tmp_path / "packages")
    places.root.mkdir()
    places.run.mkdir()
    return places


def test_no_socket_does_not_answer(own: Places) -> None:
    assert not private_engine.answers(own)


def test_a_stale_socket_does_not_answer(own: Places) -> None:
    bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    socket = own.host.removeprefix("unix://")
    subprocess.run([sys.executable, "-W", "ignore", "-c", bind, socket], check=True)
    assert Path(socket).is_socket()
    assert not private_engine.answers(own)


def test_a_daemon_without_a_pid_file_is_still_starting(own: Places) -> None:
    assert private_engine._runs(own, "dockerd")
    own.pid("dockerd").touch()
    assert private_engine._runs(own, "dockerd")


def test_a_stale_pid_file_is_no_daemon(own: Places) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    own.pid("dockerd").write_text(f"{child.pid}\n")
    assert not private_engine._runs(own, "dockerd")
    own.pid("dockerd").write_text(f"{os.getpid()}\n")
    assert private_engine._runs(own, "dockerd")


def test_a_failure_shows_the_end_of_the_log(own: Places) -> None:
    own.log("dockerd").write_text("".join(f"line {number}\n" for number in range(100)))
    error = private_engine._failure(own, "dockerd", "ended at once")
    assert "line 99" in error.problem
    assert "line 79" not in error.problem
    assert error.where == str(own.log("dockerd"))


def test_a_failure_without_a_log_is_one_too(own: Places) -> None:
    assert "ended at once" in private_engine._failure(own, "dockerd", "ended at once").problem


def test_without_root_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "a private engine needs root" in private_engine.reasons_against()


def test_on_a_mac_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert private_engine.reasons_against() == ("a private engine needs Linux",)


def test_on_another_machine_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(host, "current", lambda: "linux/riscv64")
    assert "no private engine can be made on riscv64" in private_engine.reasons_against()
    with pytest.raises(EngineError, match="riscv64"):
        private_engine._recipe()


def test_nothing_to_stop_is_no_error(tmp_path: Path) -> None:
    assert not engine_config.places(tmp_path).run.exists()
    assert private_engine.stop(tmp_path) is False
