"""Clients that are slow, endless, gone or too many, over real connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.service.service_process import TIME_LIMIT, Service, started, write_backend
from tests.unit.service.tiny_model import write_model

HEAD = b"POST /embed HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"text": "alpha"}).encode()
WAIT_IF_SLOW = (
    'if "slow" in contents: (HERE / "begun").touch(); wait_for("gate")\n        return unit(inputs)'
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    model = write_model(directory / "model")
    with started(
        directory, model, EMBEDDING_RECEIVE_SECONDS="1", EMBEDDING_LOG_REQUESTS="true"
    ) as service:
        service.wait_for_health("healthy")
        yield service


@contextlib.contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=TIME_LIMIT) as connection:
        yield connection


def received(connection: socket.socket) -> tuple[int, str, dict[str, str]]:
    """Return the status, the error's code and the headers of the next answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    content = json.loads(response.read())
    headers = {name.lower(): value for name, value in response.getheaders()}
    return response.status, content.get("error", {}).get("code", ""), headers


def is_closed(connection: socket.socket) -> bool:
    """Wait until the other side closes; False if it sends something instead."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def metric(service: Service, line: str) -> float:
    """Return a metric's value by its name and labels, as they stand in /metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=TIME_LIMIT)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    values = [each.removeprefix(line).strip() for each in lines if each.startswith(f"{line} ")]
    return float(values[0]) if values else 0


def wait_for_metric(service: Service, line: str, value: float) -> None:
    deadline = time.monotonic() + TIME_LIMIT
    while metric(service, line) != value:
        assert time.monotonic() < deadline, f"{line} is never {value}"
        time.sleep(0.02)


def test_headers_that_trickle_in_are_answered_408(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(HEAD)
        status, code, headers = received(connection)
        assert (status, code) == (408, "request_timeout")
        assert headers["connection"] == "close"
        assert is_closed(connection)


def test_a_body_that_trickles_in_is_answered_408(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(HEAD + b"Content-Length: 99\r\n\r\n{")
        status, code, headers = received(connection)
        assert (status, code) == (408, "request_too_slow")
        assert headers["connection"] == "close"
        assert headers["x-request-id"]
        assert is_closed(connection)


def test_each_byte_gives_no_more_time(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(HEAD + b"Content-Length: 9999\r\n\r\n")
        connection.settimeout(0.2)
        deadline = time.monotonic() + TIME_LIMIT
        answer = b""
        while not answer and time.monotonic() < deadline:
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(12)
        assert answer == b"HTTP/1.1 408"


def test_a_connection_on_which_nothing_is_asked_is_closed_without_an_answer(
    service: Service,
) -> None:
    for sent in (b"", b"\r\n"):
        with connected(service) as connection:
            connection.sendall(sent)
            assert is_closed(connection)


def test_a_body_that_goes_on_after_its_refusal_ends_with_the_connection(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n")
        assert received(connection)[:2] == (413, "body_too_large")
        deadline = time.monotonic() + TIME_LIMIT
        with pytest.raises(ConnectionError):
            send_on(connection, until=deadline)


def send_on(connection: socket.socket, *, until: float) -> None:
    while time.monotonic() < until:
        connection.sendall(b" ")
        time.sleep(0.1)


def test_a_connection_stays_open_for_the_next_request(service: Service) -> None:
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    with connected(service) as connection:
        for _ in range(2):
            connection.sendall(request)
            assert received(connection)[0] == 200
            time.sleep(1.6)  # longer than a request may take to come in


def test_what_is_no_http_is_answered_400_in_json(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(b"EHLO here\r\n\r\n")
        assert received(connection)[:2] == (400, "bad_request")
        assert is_closed(connection)


def test_requests_sent_ahead_are_answered_in_their_order(service: Service) -> None:
    with connected(service) as connection:
        for number in range(8):
            connection.sendall(b"GET /health HTTP/1.1\r\nX-Request-ID: %d\r\n\r\n" % number)
        answers = b""
        while (found := re.findall(rb"x-request-id: (\d)", answers)) != [
            b"%d" % n for n in range(8)
        ]:
            answers += connection.recv(2**16)
            assert len(found) < 8


def test_no_more_requests_are_kept_than_a_few(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n\r\n" * 1000)
        answers = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(2**16):
                answers += piece
        assert answers.count(b"HTTP/1.1 400") == 1
        assert answers.count(b"HTTP/1.1 200") < 20


def test_a_client_that_leaves_its_answers_unread_is_dropped(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    body = json.dumps({"model": "tiny", "input": ["alpha"] * 8192}).encode()
    head = b"POST /v1/embeddings HTTP/1.1\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with (
        started(
            tmp_path,
            model,
            EMBEDDING_RECEIVE_SECONDS="1",
            EMBEDDING_MAX_INPUTS="8192",
            EMBEDDING_QUEUE="8192",
            EMBEDDING_BATCH_INPUTS="4096",
            EMBEDDING_BATCH_TOKENS="99999",
        ) as service,
        contextlib.closing(socket.socket()) as connection,
    ):
        service.wait_for_health("healthy")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(TIME_LIMIT)
        connection.connect(("127.0.0.1", service.port))
        connection.sendall(request * 12)  # of a megabyte each are the answers
        poll = select.poll()
        poll.register(connection, select.POLLERR | select.POLLHUP)
        assert poll.poll(TIME_LIMIT * 1000), "it is still connected"
        assert service.ask("GET", "/health").status == 200


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def test_endless_headers_are_refused(model: Path, tmp_path: Path) -> None:
    with started(tmp_path, model) as service:
        service.wait_for_health("healthy")
        with connected(service) as connection:
            with contextlib.suppress(OSError):  # it may be closed while this is sent
                connection.sendall(b"GET / HTTP/1.1\r\nX-Y: ")
                for _ in range(999):
                    connection.sendall(b"z" * 1000)
            answer = b""
            with contextlib.suppress(ConnectionResetError):  # what was sent on is not read
                answer = connection.recv(12)
        assert answer in (b"HTTP/1.1 431", b"")
        assert "a connection is ended: 431" in service.log.read_text()


def asked(service: Service, text: str) -> socket.socket:
    """Ask for a vector, and do not wait for it."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=TIME_LIMIT)
    body = json.dumps({"text": text}).encode()
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + TIME_LIMIT
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.01)


def test_what_a_client_that_is_gone_asked_for_is_not_computed(model: Path, tmp_path: Path) -> None:
    slow = write_backend(
        tmp_path / "slow", embed=f"print(*contents, flush=True)\n        {WAIT_IF_SLOW}"
    )
    with started(tmp_path, model, slow, EMBEDDING_LOG_REQUESTS="true") as service:
        service.wait_for_health("healthy")
        first = asked(service, "slow")
        wait_for(slow / "begun")
        gone = [asked(service, f"gone {number}") for number in range(5)]
        wait_for_metric(service, "equivec_queue_inputs", 5)
        stays = asked(service, "stays")
        wait_for_metric(service, "equivec_queue_inputs", 6)
        for connection in gone:
            connection.close()
        wait_for_metric(service, 'equivec_requests_total{route="/embed",status="gone"}', 5)
        (slow / "gate").touch()
        assert received(first)[0] == received(stays)[0] == 200
        wait_for_metric(service, "equivec_inputs_dropped_total", 5)
        assert metric(service, "equivec_inputs_total") == 2
        first.close()
        stays.close()
        assert service.stop() == 0
        log = service.log.read_text()
    assert log.count('status="gone"') == 5
    assert "ERROR" not in log


def test_a_full_queue_says_when_to_ask_again(model: Path, tmp_path: Path) -> None:
    slow = write_backend(tmp_path / "slow", embed=WAIT_IF_SLOW)
    with started(tmp_path, model, slow, EMBEDDING_QUEUE="2") as service:
        service.wait_for_health("healthy")
        connections = [asked(service, "slow")]
        wait_for(slow / "begun")
        connections += [asked(service, "alpha"), asked(service, "beta")]
        wait_for_metric(service, "equivec_queue_inputs", 2)
        refused = service.embed("gamma")
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) > 0
        assert refused.content["error"]["code"] == "queue_full"
        (slow / "gate").touch()
        assert [received(connection)[0] for connection in connections] == [200, 200, 200]
        assert service.embed("gamma").status == 200
        for connection in connections:
            connection.close()


def test_clients_that_are_gone_fill_no_queue(model: Path, tmp_path: Path) -> None:
    slow = write_backend(tmp_path / "slow", embed=WAIT_IF_SLOW)
    with started(tmp_path, model, slow, EMBEDDING_QUEUE="2") as service:
        service.wait_for_health("healthy")
        first = asked(service, "slow")
        wait_for(slow / "begun")
        gone = [asked(service, "alpha"), asked(service, "beta")]
        wait_for_metric(service, "equivec_queue_inputs", 2)
        for connection in gone:
            connection.close()
        wait_for_metric(service, 'equivec_requests_total{route="/embed",status="gone"}', 2)
        stays = asked(service, "gamma")
        wait_for_metric(service, "equivec_inputs_dropped_total", 2)
        (slow / "gate").touch()
        assert received(first)[0] == received(stays)[0] == 200
        first.close()
        stays.close()


def test_bodies_that_are_too_many_bytes_together_are_to_come_later(
    model: Path, tmp_path: Path
) -> None:
    slow = write_backend(tmp_path / "slow", embed=WAIT_IF_SLOW)
    with started(tmp_path, model, slow, EMBEDDING_PENDING_BYTES="1000") as service:
        service.wait_for_health("healthy")
        # One by itself is taken, however long it is.
        assert service.embed("long " * 1000).status == 200
        first = asked(service, "slow")
        wait_for(slow / "begun")
        for body in (json.dumps({"text": "x" * 990}).encode(), iter([b'{"text": "', b"x" * 990])):
            refused = service.ask("POST", "/embed", body)
            assert refused.status == 429
            assert int(refused.headers["retry-after"]) > 0
            assert refused.content["error"]["code"] == "too_many_bytes_in_flight"
        # What has no body is no burden.
        assert service.ask("GET", "/health").status == 200
        (slow / "gate").touch()
        assert received(first)[0] == 200
        assert service.embed("long " * 1000).status == 200
        first.close()
