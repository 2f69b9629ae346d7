"""The service as it runs in its image: bad input, its memory limit, and a reload by signal."""

from __future__ import annotations

import base64
import json
import signal
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builders.engine import Engine, containers
from builders.engine.containers import Container, Limits, ReadOnlyMount
from builders.smoke.subject import NATIVE
from tests.system.built import Built, built
from tests.unit.service import bad_input
from tests.unit.service.bad_input import SECRET
from tests.unit.service.tiny_model import write_model

pytestmark = pytest.mark.engine

PYTHON = "/usr/bin/python3"
MODEL = "fixture-768"
TIME_LIMIT = 300

MEMORY = 1280 * 2**20
"""Bytes: a quarter more than what this flood took where nothing was limited (1018 MB). One text of
1900 tokens takes most of it: attention compares each token with every other."""

ASKING = """
import base64, http.client, json, sys, threading, zlib

def ask(route, body, content_type="application/json"):
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=120)
    try:
        connection.request("POST", route, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
"""

BAD = f"""{ASKING}
for line in open("/asking/cases.jsonl"):
    case = json.loads(line)
    body = zlib.decompress(base64.b64decode(case.pop("body")))
    status, said = ask(case["route"], body, case.pop("content_type"))
    print(json.dumps({{**case, "status": status, "said": said}}))
"""

FLOOD = f"""{ASKING}
WORDS = " ".join(["fish"] * 1900)
BODIES = [
    ("/embed", json.dumps({{"text": WORDS}}).encode()),
    ("/v1/embeddings", json.dumps({{"model": "{MODEL}", "input": ["fish"] * 2048}}).encode()),
    ("/v1/embeddings", json.dumps({{"model": "{MODEL}", "input": [WORDS] * 8}}).encode()),
    ("/v1/embeddings", b"[" * 12_000_000),
]
found = []

def client(number):
    for turn in range(2):
        found.append(ask(*BODIES[(number + turn) % len(BODIES)])[0])

threads = [threading.Thread(target=client, args=[number]) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def image(private: Engine, cache: Path) -> Iterator[Built]:
    with built("onnxruntime", MODEL, engine=private, cache=cache) as made:
        yield made


def started(
    image: Built,
    mounts: Mapping[str, Path],
    environment: Mapping[str, str] | None = None,
    *,
    limits: Limits | None = None,
    argv: tuple[str, ...] | None = None,
    network_of: Container | None = None,
) -> Container:
    return containers.start(
        image.client,
        image.digest,
        platform=image.platform,
        run=image.run,
        mounts=[ReadOnlyMount(source=source, target=to) for to, source in mounts.items()],
        environment={"EMBEDDING_THREADS": "1", **(environment or {})},
        limits=limits,
        argv=argv,
        network_of=network_of,
    )


def wait_until_ready(container: Container) -> None:
    limit = NATIVE.ready
    command = (PYTHON, "-m", "embedding_service.client", "wait", "--timeout", str(limit))
    waited = container.execute(command, timeout=limit + 30)
    assert waited.returncode == 0, (waited.stderr, container.logs())


def run(container: Container, program: str) -> str:
    done = container.execute((PYTHON, "-c", program), timeout=TIME_LIMIT)
    assert done.returncode == 0, (done.stderr, container.logs())
    return done.stdout


def test_bad_input_is_answered_in_the_image_as_on_the_host(image: Built, tmp_path: Path) -> None:
    """Each request of the unit tests' table, with the model that it was written for."""
    model = write_model(tmp_path / "model")
    cases = [(bad, route) for bad in bad_input.requests() for route in bad.routes]
    asking = tmp_path / "asking"
    asking.mkdir()
    with (asking / "cases.jsonl").open("w", encoding="utf-8") as file:
        for number, (bad, route) in enumerate(cases):
            packed = base64.b64encode(zlib.compress(bad.sent_to(route), level=1)).decode("ascii")
            case = {"number": number, "route": route, "content_type": bad.content_type}
            file.write(json.dumps({**case, "body": packed}) + "\n")
    with started(image, {"/opt/equivec/model": model, "/asking": asking}) as container:
        wait_until_ready(container)
        answers = [json.loads(line) for line in run(container, BAD).splitlines()]
        log = container.logs(lines=10_000)
    assert len(answers) == len(cases)
    wrong = []
    for answer, (bad, route) in zip(answers, cases, strict=True):
        error = json.loads(answer["said"])["error"]
        is_right = (answer["status"], error["code"]) == bad.refusal and bad.said in error["message"]
        if not is_right or SECRET in answer["said"]:
            wrong.append(f"{bad.name} to {route}: {answer['status']} {answer['said'][:300]}")
    assert not wrong, "\n".join(wrong)
    assert SECRET not in log
    assert "Traceback" not in log


def test_a_flood_stays_within_the_container_s_memory(image: Built) -> None:
    """What asks is in a container of its own: its memory is not the service's."""
    sleep = (PYTHON, "-c", f"import time; time.sleep({2 * TIME_LIMIT})")
    with (
        started(image, {}, limits=Limits(memory_bytes=MEMORY)) as container,
        started(image, {}, argv=sleep, network_of=container) as asking,
    ):
        wait_until_ready(container)
        statuses = json.loads(run(asking, FLOOD))
        state = container.state()
        assert state.running, container.logs()
        assert not state.out_of_memory
        wait_until_ready(container)
    assert set(statuses) <= {200, 400, 413, 429}, statuses
    assert 200 in statuses


def test_the_signal_for_a_reload_reaches_the_service(image: Built, tmp_path: Path) -> None:
    file = tmp_path / "config" / "config.json"
    file.parent.mkdir(mode=0o755)
    file.write_text("{}", encoding="utf-8")
    # The directory is mounted: a file that is replaced would stay the old one in the container.
    with started(
        image, {"/config": file.parent}, {"EMBEDDING_CONFIG_FILE": "/config/config.json"}
    ) as container:
        wait_until_ready(container)
        before = configuration(container)
        file.write_text('{"precision": "float16"}', encoding="utf-8")
        image.client.containers.get(container.id).kill(signal=signal.SIGHUP)
        deadline = time.monotonic() + NATIVE.ready
        while configuration(container)["precision"] != "float16":
            assert time.monotonic() < deadline, container.logs()
            time.sleep(0.2)
        after = configuration(container)
        assert after["config_id"] != before["config_id"]
        assert container.state().running


def configuration(container: Container) -> dict[str, Any]:
    program = (
        "import urllib.request;"
        "print(urllib.request.urlopen('http://127.0.0.1:8080/embedding/config').read().decode())"
    )
    found: dict[str, Any] = json.loads(run(container, program))
    return found
