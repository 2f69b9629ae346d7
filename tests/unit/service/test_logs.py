"""What is logged, in which form, and that it is never a text."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedding_service import logs
from tests.unit.service.service_process import (
    TIME_LIMIT,
    Service,
    run,
    started,
    write_backend,
)
from tests.unit.service.tiny_model import write_model

SECRET = "a very secret text"  # noqa: S105 (no password)


def record(message: str, *arguments: object, **more: Any) -> logging.LogRecord:
    more = {"exc_info": None} | more
    return logging.LogRecord("somewhere", logging.WARNING, "", 1, message, arguments, **more)


def written(*lines: logging.LogRecord) -> list[dict[str, Any]]:
    return [json.loads(logs.JsonLines().format(line)) for line in lines]


def failure() -> logging.LogRecord:
    """Return the record of an exception whose message, and whose cause's, holds a text."""
    try:
        try:
            int(SECRET)
        except ValueError as cause:
            raise RuntimeError(SECRET) from cause
    except RuntimeError:
        return record("failed", exc_info=sys.exc_info())
    raise AssertionError("nothing failed")


def test_a_line_is_an_object_with_time_level_and_message() -> None:
    (line,) = written(record('said "%s"\u2028', "quoted"))
    assert list(line) == ["time", "level", "message"]
    assert line["time"].endswith("Z")
    assert line["level"] == "warning"
    assert line["message"] == 'said "quoted"'


def test_only_the_first_line_of_a_message_is_logged() -> None:
    (line,) = written(record(f"Task exception was never retrieved\nfuture: {SECRET}"))
    assert line["message"] == "Task exception was never retrieved"


def test_of_exceptions_types_and_places_are_logged_but_no_message() -> None:
    (line,) = written(failure())
    assert [each["type"] for each in line["exception"]] == ["RuntimeError", "ValueError"]
    assert all(__file__ in place for each in line["exception"] for place in each["at"])
    assert SECRET not in str(line)


def test_the_request_and_further_values_are_in_its_lines() -> None:
    token = logs.REQUEST_ID.set("id-1")
    try:
        (line,) = written(record("said"))
        more = record("said")
        more.__dict__ |= logs.fields({"status": 200, "route": "/embed"})
        (other,) = written(more)
        text = logs.TextLines().format(more)
    finally:
        logs.REQUEST_ID.reset(token)
    assert line["request_id"] == "id-1"
    assert (other["status"], other["route"]) == (200, "/embed")
    assert text.split(" ", 1)[1] == 'WARNING said request_id="id-1" status=200 route="/embed"'


def test_text_lines_hold_no_message_of_an_exception_either() -> None:
    line = logs.TextLines().format(failure())
    assert "RuntimeError" in line
    assert SECRET not in line
    assert "\n" not in line


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve with a library that fails in every way, and says the texts that it was given."""
    directory = tmp_path_factory.mktemp("service")
    fails = (
        'assert "fails" not in contents[0], contents\n'
        "        import logging, warnings\n"
        '        logging.getLogger("library").info(contents)\n'
        "        return unit(inputs)"
    )
    with started(
        directory,
        write_model(directory / "model"),
        write_backend(directory / "broken", embed=fails),
        EMBEDDING_LOG_FORMAT="json",
        EMBEDDING_LOG_REQUESTS="true",
        EMBEDDING_LOG_LEVEL="debug",
    ) as service:
        service.wait_for_health("healthy")
        yield service


def lines(service: Service, **wanted: object) -> list[dict[str, Any]]:
    """Return the lines that have these values, once there are any."""
    deadline = time.monotonic() + TIME_LIMIT
    while time.monotonic() < deadline:
        written = service.log.read_text(encoding="utf-8").splitlines()
        found = [line for line in map(json.loads, written) if wanted.items() <= line.items()]
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"no line with {wanted}")


def test_each_request_has_a_line_with_its_id(service: Service) -> None:
    answer = service.embed("alpha")
    (line,) = lines(service, request_id=answer.headers["x-request-id"])
    assert line["message"] == "request"
    assert line["level"] == "info"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/embed", 200)
    assert 0 < line["seconds"] < 30


@pytest.mark.parametrize("kept", ["abc-123", "A.b_c:d", "x" * 128])
def test_a_clients_own_id_is_kept(service: Service, kept: str) -> None:
    answer = service.ask("GET", "/nowhere", headers={"X-Request-ID": kept})
    assert answer.headers["x-request-id"] == kept
    assert lines(service, request_id=kept)


@pytest.mark.parametrize("refused", [SECRET, "x" * 129, 'a"b', ""])
def test_an_id_that_could_be_anything_is_not(service: Service, refused: str) -> None:
    answer = service.ask("GET", "/nowhere", headers={"X-Request-ID": refused})
    assert len(answer.headers["x-request-id"]) == 32
    assert refused == "" or refused not in service.log.read_text()


def test_a_line_names_the_route_and_not_what_was_asked_for(service: Service) -> None:
    secret = SECRET.replace(" ", "-")
    for path, route in {
        f"/{secret}": "unrouted",
        f"/v1/models/{secret}": "/v1/models/{model:path}",
        f"/embed?{secret}": "/embed",
    }.items():
        answer = service.ask("GET", path)
        (line,) = lines(service, request_id=answer.headers["x-request-id"])
        assert line["route"] == route
    assert secret not in service.log.read_text()


def test_health_is_logged_only_to_find_faults(service: Service) -> None:
    service.ask("GET", "/health/live")
    (line,) = lines(service, route="/health/live")
    assert line["level"] == "debug"


def test_no_text_is_logged_whatever_fails(service: Service) -> None:
    texts = [SECRET, f"{SECRET}\0", f"{SECRET} fails", [SECRET], f"{SECRET}\ud800"]
    statuses = [service.ask("POST", "/embed", {"text": text}).status for text in texts]
    assert statuses == [200, 422, 500, 422, 422]
    assert service.ask("POST", "/embed", f'{{"text": "{SECRET}'.encode()).status == 400
    assert service.ask("POST", "/embed", {"text": "a", SECRET: 1}).status == 422
    assert SECRET not in service.log.read_text()


def test_a_backend_that_breaks_the_contract_fails_its_batch_and_no_other(tmp_path: Path) -> None:
    broken = write_backend(
        tmp_path / "broken",
        embed="from embedding_service.errors import InputError\n"
        f'        if "odd" in contents: raise InputError("{SECRET}", index=99)\n'
        "        return unit(inputs)",
    )
    with started(
        tmp_path, write_model(tmp_path / "model"), broken, EMBEDDING_LOG_FORMAT="json"
    ) as service:
        service.wait_for_health("healthy")
        answer = service.embed("odd")
        assert answer.status == 500
        assert answer.content["error"]["code"] == "embedding_failed"
        assert service.embed("fine").status == 200
        (line,) = lines(service, message="a batch failed")
        assert [each["type"] for each in line["exception"]] == ["IndexError", "InputError"]
        assert SECRET not in service.log.read_text()


def test_a_service_that_cannot_start_says_so_in_one_line_of_json(tmp_path: Path) -> None:
    completed = run(
        "embedding_service",
        model=tmp_path / "nowhere",
        settings={"EMBEDDING_LOG_FORMAT": "json", "EMBEDDING_SERVER_PORT": "http"},
    )
    assert completed.returncode == 2
    line = json.loads(completed.stderr)
    assert line["level"] == "error"
    assert "EMBEDDING_SERVER_PORT is 'http'" in line["message"]
