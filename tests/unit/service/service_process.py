"""The real service in a process of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SERVICE = ROOT / "images" / "service"
ONNXRUNTIME = ROOT / "images" / "onnxruntime"
INVENTORY = Path(__file__).with_name("inventory.cdx.json")
"""What `/credits` is made from: two wheels, a Debian package and the service."""

TIME_LIMIT = 30


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: Any


@dataclass(frozen=True, kw_only=True)
class Service:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a body (JSON unless it is bytes, or pieces of them) and return the answer."""
        is_raw = isinstance(body, bytes | Iterator | None)
        raw: Any = body if is_raw else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIME_LIMIT)
        sent = {} if raw is None else {"Content-Type": content_type}
        connection.request(method, path, raw, sent | dict(headers or {}))
        response = connection.getresponse()
        content = json.loads(response.read())
        connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=headers, content=content)

    def embed(self, text: str) -> Answer:
        return self.ask("POST", "/embed", {"text": text})

    def wait_for_health(self, status: str) -> None:
        deadline = time.monotonic() + TIME_LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if self.ask("GET", "/health").content["status"] == status:
                    return
            time.sleep(0.02)
        raise AssertionError(f"never {status}: {self.log.read_text()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(TIME_LIMIT)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(model: Path, backend: Path = ONNXRUNTIME, **settings: str) -> dict[str, str]:
    """Return a whole environment for a process of the service."""
    # In CI, ONNX Runtime suppresses its telemetry by itself: that would hide a missing switch.
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return inherited | {
        "PYTHONPATH": f"{SERVICE}{os.pathsep}{backend}",
        "EMBEDDING_MODEL_DIR": str(model),
        "EMBEDDING_INVENTORY": str(INVENTORY),
        "EMBEDDING_THREADS": "1",
        "EMBEDDING_LOG_FORMAT": "text",
        "EMBEDDING_LOG_REQUESTS": "false",
        **settings,
    }


@contextlib.contextmanager
def started(
    directory: Path, model: Path, backend: Path = ONNXRUNTIME, **settings: str
) -> Iterator[Service]:
    """Start the service, not waiting until it answers; kill it at the end if it still runs."""
    settings = {"EMBEDDING_SERVER_PORT": str(free_port())} | settings
    log = directory / "stderr.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "embedding_service"],
            env=environment(model, backend, **settings),
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield Service(process=process, port=int(settings["EMBEDDING_SERVER_PORT"]), log=log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def run(
    module: str,
    *arguments: str | Path,
    model: Path,
    backend: Path = ONNXRUNTIME,
    settings: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a module of the service to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", module, *map(str, arguments)],
        env=environment(model, backend, **(settings or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


BACKEND = """
import time
from pathlib import Path

import numpy as np

from embedding_service.contract import Capabilities

HERE = Path(__file__).parent


def unit(inputs):
    return np.tile(np.eye(1, 6, dtype=np.float32), (len(inputs), 1))


def wait_for(name):
    while not (HERE / name).exists():
        time.sleep(0.01)


class Backend:
    name = "broken"
    libraries = ("numpy",)
    runtime = {{"cpu_variant": "none"}}
    tokenizer = None
    capabilities = Capabilities(text=True, image={images}, max_tokens=8, batching="padded")

    @classmethod
    def load(cls, model_dir, settings):
        {load}
        return cls()

    def embed(self, inputs):
        contents = [each.content for each in inputs]
        {embed}

    def close(self):
        (HERE / "closed").touch()
"""


def write_backend(
    directory: Path,
    *,
    load: str = "pass",
    embed: str = "return unit(inputs)",
    images: bool = False,
) -> Path:
    """Write a backend that does what the two statements say.

    The second knows `inputs`, and their `contents`: the texts, and the bytes of images.
    """
    directory.mkdir()
    text = BACKEND.format(load=load, embed=embed, images=images)
    (directory / "backend.py").write_text(text, encoding="utf-8")
    return directory
