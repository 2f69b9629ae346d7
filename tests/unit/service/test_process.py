"""The service's life: start, self-check, failure, and the end by a signal."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.unit.service.service_process import (
    ONNXRUNTIME,
    Service,
    free_port,
    run,
    started,
    write_backend,
)
from tests.unit.service.tiny_model import write_model, write_recipe

WAIT_IF_SLOW = """
        if contents == ["slow"]:
            (HERE / "begun").touch()
            wait_for("gate")
        return unit(inputs)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def refusal(model: Path, backend: Path = ONNXRUNTIME, **settings: str) -> tuple[int, str]:
    """Start a service that must stop by itself; return its exit code and its only line."""
    settings = {"EMBEDDING_SERVER_PORT": str(free_port())} | settings
    completed = run("embedding_service", model=model, backend=backend, settings=settings)
    assert completed.stdout == ""
    assert completed.stderr.count("\n") == 1, completed.stderr
    return completed.returncode, completed.stderr


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("embed", "reason"),
    [
        ("return unit(inputs)[:, :5]", "float32 of shape (1, 5) for tiny; its recipe declares"),
        ("return unit(inputs).astype(float)", "returned float64 of shape (1, 6)"),
        ("return unit(inputs) * np.nan", "a vector with NaN or infinity"),
        ("return np.full((1, 6), np.inf, np.float32)", "a vector with NaN or infinity"),
        ("return unit(inputs) * np.float32(1.01)", "a vector of length 1.01"),
        ("raise RuntimeError('no such\\nkernel')", "failed with RuntimeError: no such kernel"),
    ],
)
def test_a_model_that_fails_its_self_check_is_never_served(
    model: Path, tmp_path: Path, embed: str, reason: str
) -> None:
    code, line = refusal(model, write_backend(tmp_path / "broken", embed=embed))
    assert code == 3
    assert f"the model in {model} failed its self-check: broken" in line
    assert reason in line


def test_a_model_that_fails_on_an_image_is_never_served(model: Path, tmp_path: Path) -> None:
    write_recipe(model, inputs=["text", "image"])
    blind = write_backend(
        tmp_path / "blind", images=True, embed="return unit([each.encode() for each in contents])"
    )
    code, line = refusal(model, blind)
    assert code == 3
    assert "failed its self-check: broken failed with AttributeError: 'bytes' object" in line


def test_a_backend_that_cannot_load_stops_the_service(model: Path, tmp_path: Path) -> None:
    broken = write_backend(tmp_path / "broken", load="raise OSError('libllama.so is missing')")
    code, line = refusal(model, broken)
    assert code == 3
    assert f"backend broken cannot load {model}: OSError: libllama.so is missing" in line


def test_a_missing_backend_stops_the_service(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, line = refusal(model, tmp_path / "empty")
    assert code == 3
    assert "No module named 'backend'" in line
    assert "PYTHONPATH" in line


def test_an_altered_model_stops_the_service(model: Path) -> None:
    (model / "tokenizer.json").write_bytes(b"{}")
    code, line = refusal(model)
    assert code == 3
    assert f"{model}/tokenizer.json is altered" in line


def test_a_damaged_model_file_stops_the_service(model: Path) -> None:
    (model / "model.onnx").write_bytes(b"not onnx")
    write_recipe(model)
    code, line = refusal(model)
    assert code == 3
    assert f"backend onnxruntime cannot load {model}: InvalidProtobuf" in line


def test_a_model_of_another_width_than_declared_stops_the_service(model: Path) -> None:
    write_recipe(model, dimension=768)
    code, line = refusal(model)
    assert code == 3
    assert "onnxruntime returned float32 of shape (1, 6)" in line
    assert "declares float32 of shape (1, 768)" in line


def test_a_taken_port_is_known_before_the_model_is_looked_at(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        code, line = refusal(tmp_path / "nowhere", EMBEDDING_SERVER_PORT=port)
    assert code == 4
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in line
    assert "set EMBEDDING_SERVER_PORT" in line


def test_a_bad_setting_stops_the_service(model: Path) -> None:
    code, line = refusal(model, EMBEDDING_SERVER_PORT="http")
    assert code == 2
    assert "EMBEDDING_SERVER_PORT is 'http'" in line


def test_while_the_model_loads_health_is_degraded_and_embed_says_when_to_retry(
    model: Path, tmp_path: Path
) -> None:
    slow = write_backend(tmp_path / "slow", load='wait_for("gate")')
    with started(tmp_path, model, slow) as service:
        service.wait_for_health("degraded")
        health = service.ask("GET", "/health")
        assert health.status == 200
        assert health.content["embedding_model_loaded"] is False
        assert health.content["model"] == "tiny"
        assert health.content["runtime"] == {}
        refused = service.embed("alpha")
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.content["error"] == {
            "code": "not_ready",
            "message": "the model is still loading",
            "type": "server_error",
            "param": None,
        }
        (slow / "gate").touch()
        service.wait_for_health("healthy")
        assert service.ask("GET", "/health").content["runtime"] == {"cpu_variant": "none"}
        assert service.embed("alpha").status == 200
        assert service.stop() == 0
    assert (slow / "closed").exists()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_while_the_model_loads_ends_the_service_at_once(
    model: Path, tmp_path: Path, number: str
) -> None:
    slow = write_backend(tmp_path / "slow", load='wait_for("gate")')
    with started(tmp_path, model, slow) as service:
        service.wait_for_health("degraded")
        begun = time.monotonic()
        assert service.stop(signal.Signals[number]) == 0
        assert time.monotonic() - begun < 2


def test_a_signal_lets_the_request_in_flight_finish(model: Path, tmp_path: Path) -> None:
    slow = write_backend(tmp_path / "slow", embed=WAIT_IF_SLOW)
    with started(tmp_path, model, slow) as service:
        service.wait_for_health("healthy")
        statuses: list[int] = []
        request = threading.Thread(target=lambda: statuses.append(service.embed("slow").status))
        request.start()
        wait_for(slow / "begun")
        service.process.terminate()
        wait_until_refused(service)
        assert service.process.poll() is None
        (slow / "gate").touch()
        request.join(10)
        assert service.process.wait(10) == 0
        assert statuses == [200]


def wait_until_refused(service: Service) -> None:
    """Wait until the service takes no new connection."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError("still listening")


def test_a_backend_that_fails_on_one_text_answers_500_and_serves_on(
    model: Path, tmp_path: Path
) -> None:
    fails = 'assert contents != ["secret"], inputs\n        return unit(inputs)'
    broken = write_backend(tmp_path / "broken", embed=fails)
    with started(tmp_path, model, broken) as service:
        service.wait_for_health("healthy")
        failed = service.embed("secret")
        assert failed.status == 500
        assert failed.content["error"] == {
            "code": "embedding_failed",
            "message": "broken failed with AssertionError",
            "type": "server_error",
            "param": None,
        }
        assert service.embed("alpha").status == 200
        assert service.stop() == 0
        lines = service.log.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines[1:]] == [
        "ERROR broken failed with AssertionError",
        "INFO stopped",
    ]


def test_the_real_backend_leaves_a_clean_log_and_no_file(model: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with started(tmp_path, model, HOME=str(home)) as service:
        service.wait_for_health("healthy")
        assert service.embed("alpha").status == 200
        assert service.stop() == 0
        lines = service.log.read_text().splitlines()
    ready, stopped = (line.split(" ", 1)[1].partition(", loaded in ")[0] for line in lines)
    chosen = "execution_provider: CPUExecutionProvider; threads: 1"
    assert ready == f"INFO ready: tiny with onnxruntime ({chosen})"
    assert stopped == "INFO stopped"
    assert not list(home.iterdir())
