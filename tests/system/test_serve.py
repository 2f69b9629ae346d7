"""`nox -s serve`: the service on this host, from the images' lock."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.paths import ROOT
from builders.store import cache_directory


@contextmanager
def serving(port: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "builders", "serve", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "EQUIVEC_CACHE": str(cache_directory())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "ready on http://127.0.0.1" in line:
            return
    raise AssertionError("".join(lines))


def test_it_serves_until_it_is_interrupted() -> None:
    port = free_port()
    with serving(port) as process:
        until_ready(process)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/embed",
            data=json.dumps({"text": "hello"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = json.loads(answer.read())
        assert body["dimension"] == len(body["embedding"]) == 768
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/credits", timeout=30) as answer:
            components = {each["name"]: each for each in json.loads(answer.read())["components"]}
        assert {each["kind"] for each in components.values()} == {"python"}
        assert components["onnxruntime"]["libraries"]
        texts = [text for each in components.values() for text in each["texts"]]
        assert texts
        assert all(Path(text).is_file() for text in texts)

        process.send_signal(signal.SIGINT)

        assert process.wait(30) == 130
        with socket.socket() as probe:  # its child is gone: the port is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


def test_a_taken_port_is_explained_before_anything_is_loaded() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with serving(port) as process:
            output, _ = process.communicate(timeout=60)
    assert process.returncode == 25
    assert f"cannot listen on 127.0.0.1:{port}" in output
    assert "--port" in output
    assert "fetch" not in output
