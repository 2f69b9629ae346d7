"""Bad input, of every kind: each is answered with its status, a code and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.service.bad_input import EMBED, OPENAI, ROUTES, SECRET, Bad, requests
from tests.unit.service.service_process import Service, started
from tests.unit.service.tiny_model import write_model


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    with started(directory, write_model(directory / "model")) as running:
        running.wait_for_health("healthy")
        yield running


CASES = [
    pytest.param(bad, route, id=f"{bad.name}-{route}") for bad in requests() for route in bad.routes
]


@pytest.mark.parametrize(("bad", "route"), CASES)
def test_bad_input_is_told_what_is_wrong(service: Service, bad: Bad, route: str) -> None:
    answer = service.ask("POST", route, bad.sent_to(route), content_type=bad.content_type)
    error = answer.content["error"]
    assert (answer.status, error["code"]) == bad.refusal, answer
    assert bad.said in error["message"]
    assert SECRET not in str(answer.content)
    assert len(error["message"]) < 1000
    # What was refused harms nobody else.
    assert service.embed("alpha").status == 200


def test_the_same_requests_are_answered_where_nothing_is_bad(service: Service) -> None:
    for route in ROUTES:
        good = Bad(name="nothing", refusal=(0, ""), said="", text="alpha")
        assert service.ask("POST", route, good.sent_to(route)).status == 200


def test_the_empty_string_is_a_text(service: Service) -> None:
    """Decided: it is its special tokens, as the libraries have it; OpenAI refuses it."""
    embedded = service.embed("")
    assert embedded.status == 200
    asked: object
    for asked in ("", [""], [[]]):
        answer = service.ask("POST", OPENAI, {"model": "tiny", "input": asked})
        assert answer.content["data"][0]["embedding"] == embedded.content["embedding"]


def test_a_model_without_special_tokens_refuses_the_empty_string(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("bare")
    with started(directory, write_model(directory / "model", special_tokens="$A")) as bare:
        bare.wait_for_health("healthy")
        for route, body in ((EMBED, {"text": ""}), (OPENAI, {"model": "tiny", "input": [""]})):
            answer = bare.ask("POST", route, body)
            assert (answer.status, answer.content["error"]["code"]) == (422, "text_refused")
            assert answer.content["error"]["index"] == 0


def test_nothing_of_all_this_is_logged(service: Service) -> None:
    log = service.log.read_text()
    assert "ready" in log
    assert SECRET not in log
    assert "Traceback" not in log
