"""SIGTERM under load: what was accepted is answered, and the process ends in time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.service.service_process import TIME_LIMIT, Service, started, write_backend
from tests.unit.service.tiny_model import write_model

CLIENTS = 16
HEADERS = {"Content-Type": "application/json"}
TAKES_TIME = "time.sleep(0.02)\n        return unit(inputs)"


class Client(threading.Thread):
    """Asks again and again until the service takes no connection any more.

    Args:
        service: Whom it asks.
        think: Seconds between an answer and the next request.
        is_new: Whether it opens a connection for each request.
    """

    def __init__(self, service: Service, *, think: float, is_new: bool) -> None:
        super().__init__(daemon=True)
        self._port = service.port
        self._think = think
        self._is_new = is_new
        self.outcomes: Counter[str] = Counter()

    def run(self) -> None:
        connection = self._connection()
        body = json.dumps({"text": "alpha"})
        while True:
            try:
                connection.request("POST", "/embed", body, HEADERS)
                response = connection.getresponse()
                response.read()
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException) as error:
                kind = "new" if self._is_new else "kept"
                self.outcomes[f"{type(error).__name__} on a {kind} connection"] += 1
                return
            self.outcomes[str(response.status)] += 1
            if self._is_new or response.will_close:
                connection.close()
                connection = self._connection()
            time.sleep(self._think)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIME_LIMIT)


@pytest.mark.parametrize("number", range(3))  # what can be lost is lost only now and then
def test_no_request_is_lost(tmp_path: Path, number: int) -> None:
    model = write_model(tmp_path / "model")
    slow = write_backend(tmp_path / "slow", embed=TAKES_TIME)
    with started(tmp_path, model, slow) as service:
        service.wait_for_health("healthy")
        clients = [
            Client(service, think=0.02 * (order % 4), is_new=order % 2 == 0)
            for order in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        time.sleep(0.3 + 0.037 * number)
        service.process.terminate()
        for client in clients:
            client.join(TIME_LIMIT)
        assert service.process.wait(TIME_LIMIT) == 0
        outcomes = sum((client.outcomes for client in clients), Counter())
        assert set(outcomes) == {"200"}, outcomes
        assert outcomes["200"] >= CLIENTS
        assert [line.split()[1:3] for line in service.log.read_text().splitlines()] == [
            ["INFO", "ready:"],
            ["INFO", "stopped"],
        ]


def test_what_takes_longer_than_the_grace_is_told_so(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    slow = write_backend(
        tmp_path / "slow",
        embed='if "slow" in contents: wait_for("gate")\n        return unit(inputs)',
    )
    with started(tmp_path, model, slow, EMBEDDING_GRACE_SECONDS="1") as service:
        service.wait_for_health("healthy")
        connections = []
        for text in ("slow", "waits"):
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIME_LIMIT)
            connection.request("POST", "/embed", json.dumps({"text": text}), HEADERS)
            connections.append(connection)
        # Its body never comes.
        unfinished = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIME_LIMIT)
        unfinished.putrequest("POST", "/embed")
        unfinished.putheader("Content-Type", "application/json")
        unfinished.putheader("Content-Length", "99")
        unfinished.endheaders()
        connections.append(unfinished)
        time.sleep(0.3)
        service.process.terminate()
        for connection in connections:
            response = connection.getresponse()
            assert response.status == 503
            assert response.getheader("retry-after") == "1"
            assert json.loads(response.read())["error"]["code"] == "not_ready"
            connection.close()
        assert service.process.wait(TIME_LIMIT) == 0
