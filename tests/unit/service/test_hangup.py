"""SIGHUP: the settings and the model are read again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.service.administration import TOKEN, config, reload, wait_until, write_models
from tests.unit.service.service_process import (
    ONNXRUNTIME,
    Service,
    environment,
    free_port,
    started,
    write_backend,
)
from tests.unit.service.tiny_model import write_model, write_recipe

IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-W", "error", "-m", "embedding_service"])
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_models(tmp_path / "models")


def test_a_hangup_reads_the_file_again(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}", encoding="utf-8")
    # No token is needed: who sends signals may do so anyway.
    with started(tmp_path, model, EMBEDDING_CONFIG_FILE=str(file)) as service:
        service.wait_for_health("healthy")
        file.write_text('{"precision": "float16"}', encoding="utf-8")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: config(service)["precision"] == "float16", "never reloaded")
        for bad, reason in (("{", "config.json is no JSON"), ('{"queue": 0}', "queue is 0")):
            file.write_text(bad, encoding="utf-8")
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda r=reason: r in service.log.read_text(), reason)  # type: ignore[misc]
        assert config(service)["precision"] == "float16"
        assert service.embed("alpha").status == 200
        assert service.stop() == 0


def test_a_service_ends_with_the_terminal_that_it_was_started_in(
    model: Path, tmp_path: Path
) -> None:
    ours, terminal = os.openpty()
    port = free_port()
    # The first of a session: the kernel tells it that the terminal is closed.
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL],
            env=environment(model, EMBEDDING_SERVER_PORT=str(port)),
            stdin=terminal,
            stderr=log,
            start_new_session=True,
        )
    os.close(terminal)
    service = Service(process=process, port=port, log=tmp_path / "log")
    try:
        service.wait_for_health("healthy")
        write_recipe(model, name="new")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: config(service)["model"] == "new", "never reloaded")
        os.close(ours)
        assert process.wait(20) == 0, service.log.read_text()
    finally:
        process.kill()
        process.wait()


def test_a_hangup_changes_the_space_only_where_the_file_says_so(
    models: Path, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}", encoding="utf-8")
    settings = {"EMBEDDING_CONFIG_FILE": str(file), "EMBEDDING_MODELS_DIR": str(models)}
    with started(tmp_path, models / "a", ONNXRUNTIME, **settings) as service:
        service.wait_for_health("healthy")
        file.write_text('{"model": "third"}', encoding="utf-8")
        service.process.send_signal(signal.SIGHUP)
        reason = "the vector space would change"
        wait_until(lambda: reason in service.log.read_text(), reason)
        assert config(service)["model"] == "first"
        file.write_text('{"model": "third", "allow_space_change": true}', encoding="utf-8")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: config(service)["model"] == "third", "never reloaded")


def test_a_hangup_while_the_first_model_loads_waits_for_it(model: Path, tmp_path: Path) -> None:
    slow = write_backend(tmp_path / "slow", load='wait_for("gate")')
    with started(tmp_path, model, slow, EMBEDDING_ADMIN_TOKEN=TOKEN) as service:
        service.wait_for_health("degraded")
        refused = reload(service)
        assert refused.status == 503
        assert refused.content["error"]["code"] == "not_ready"
        service.process.send_signal(signal.SIGHUP)
        write_recipe(model, name="new")
        time.sleep(0.2)
        (slow / "gate").touch()
        wait_until(lambda: config(service)["model"] == "new", "never reloaded")


def test_the_end_does_not_wait_for_a_model_that_is_still_loading(
    model: Path, tmp_path: Path
) -> None:
    load = 'wait_for("gate") if (HERE / "loaded").exists() else None; (HERE / "loaded").touch()'
    backend = write_backend(tmp_path / "slow", load=load)
    with started(tmp_path, model, backend) as service:
        service.wait_for_health("healthy")
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        begun = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - begun < 5
