"""What stands around all routes: what is answered and counted if one of them breaks."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from embedding_service import logs
from embedding_service.journal import GONE, TASK, Journal
from embedding_service.metrics import Metrics
from embedding_service.problems import answer_errors
from embedding_service.settings import Settings

SECRET = "a very secret text"  # noqa: S105 (no password)


class Counted(Metrics):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[tuple[str, str]] = []

    def ended(self, *, route: str, status: str, seconds: float) -> None:
        self.ends.append((route, status))
        super().ended(route=route, status=status, seconds=seconds)


def application() -> FastAPI:
    app = FastAPI()
    answer_errors(app)

    @app.get("/breaks")
    async def breaks() -> None:
        raise LookupError(SECRET)

    return app


def test_what_nothing_foresaw_is_answered_500_and_leaves_a_line_that_says_where(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Counted()
    client = TestClient(
        Journal(application(), Settings(), metrics), headers={"X-Request-ID": "id-1"}
    )
    answer = client.get("/breaks")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "id-1"
    assert answer.json()["error"]["code"] == "internal_error"
    assert answer.json()["error"]["type"] == "server_error"
    assert metrics.ends == [("/breaks", "500")]
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    line = json.loads(logs.JsonLines().format(record))
    assert line["message"] == "a request failed"
    assert line["exception"][0]["type"] == "LookupError"
    assert "in breaks" in line["exception"][0]["at"][-1]
    assert SECRET not in answer.text + json.dumps(line)


def test_requests_are_logged_only_if_that_is_set(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for is_set in (False, True):
        TestClient(Journal(application(), Settings(log_requests=is_set), Metrics())).get("/nowhere")
        assert ("request" in caplog.messages) is is_set


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_cancelled_request_is_answered_if_there_is_still_a_client(is_gone: bool) -> None:  # noqa: FBT001
    """Cancel a request as a connection does that is lost, and as a server that stops."""
    metrics = Counted()
    sent: list[int] = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def cancelled() -> None:
        scope: Scope = {"type": "http", "method": "POST", "path": "/embed", "headers": []}
        task = asyncio.create_task(Journal(endless, Settings(), metrics)(scope, receive, send))
        await asyncio.sleep(0.01)
        assert scope[TASK] is task
        if is_gone:
            scope[GONE] = True
        task.cancel()
        await task

    asyncio.run(cancelled())
    assert sent == ([] if is_gone else [503])
    assert metrics.ends == [("unrouted", "gone" if is_gone else "503")]
