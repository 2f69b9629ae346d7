"""What an administrator does with a running service."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.unit.service.service_process import ONNXRUNTIME, Answer, Service, started
from tests.unit.service.tiny_model import write_model

TOKEN = "administrators-token"  # noqa: S105 -- a test's
OTHER_SPACE = "sha256:" + "6" * 64


@contextlib.contextmanager
def administrated(
    directory: Path, model: Path, backend: Path = ONNXRUNTIME, **settings: str
) -> Iterator[Service]:
    """Start a service with an administrator's token, and wait until it is ready."""
    with started(directory, model, backend, EMBEDDING_ADMIN_TOKEN=TOKEN, **settings) as service:
        service.wait_for_health("healthy")
        yield service


def change(service: Service, body: object, token: str = TOKEN) -> Answer:
    headers = {"Authorization": f"Bearer {token}"}
    return service.ask("PUT", "/admin/embedding/config", body, headers=headers)


def reload(service: Service, body: object = None, token: str = TOKEN) -> Answer:
    headers = {"Authorization": f"Bearer {token}"}
    return service.ask("POST", "/admin/embedding/config/reload", body, headers=headers)


def config(service: Service) -> Mapping[str, object]:
    answer = service.ask("GET", "/embedding/config")
    assert answer.status == 200
    content: dict[str, object] = answer.content
    return content


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def write_models(directory: Path) -> Path:
    """Write two models of one space, a third of another, and directories that are none."""
    write_model(directory / "a", name="first")
    write_model(directory / "b", name="second", precision="int8")
    write_model(directory / "c", name="third", vector_space=OTHER_SPACE)
    (directory / ".hidden").mkdir()
    (directory / "lost").mkdir()
    return directory
