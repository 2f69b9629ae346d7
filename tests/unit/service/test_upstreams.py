"""Upstreams: which one is asked, what becomes of failures, and what is never believed."""

from __future__ import annotations

import contextlib
import email.utils
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedding_service.errors import InputError, SettingsError, UpstreamError
from embedding_service.inputs import Text
from embedding_service.settings import Settings
from embedding_service.upstreams import succession
from embedding_service.upstreams.backend import Backend
from embedding_service.upstreams.declaration import DeclaredSpace, declared_spaces
from embedding_service.upstreams.line import WITNESS
from tests.unit.service.service_process import free_port
from tests.unit.service.upstream_api import (
    KEY,
    OTHER,
    UNIT,
    Api,
    Reply,
    encoded,
    listed,
    problem,
    serving,
    unit32,
)

SPACE = "sha256:" + "5" * 64
CERTIFICATE = Path(__file__).parent / "loopback.pem"
WAIT = 30


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as made:
        yield made


@pytest.fixture
def second() -> Iterator[Api]:
    with serving() as made:
        yield made


def declared(*apis: Api | str, **changes: object) -> DeclaredSpace:
    urls = [each if isinstance(each, str) else each.url for each in apis]
    content = {
        "vector_space": SPACE,
        "model": "m",
        "dimension": 6,
        "upstreams": [{"url": url} for url in urls],
    }
    (space,) = declared_spaces([content | changes])
    return space


Ask = Callable[..., Backend]


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Make backends, which rest for no longer than a moment, and close them at the end."""
    monkeypatch.setattr(succession, "FIRST_REST", 0.01)
    monkeypatch.setattr(succession, "LONGEST_REST", 0.05)
    with contextlib.ExitStack() as stack:

        def made(*apis: Api | str, seconds: int = 2, **changes: object) -> Backend:
            settings = Settings(openai_timeout=seconds, upstreams=(declared(*apis, **changes),))
            backend = Backend.load(settings.model_dir, settings)
            stack.callback(backend.close)
            return backend

        yield made


def embed(backend: Backend, *texts: str) -> Any:
    return backend.embed([Text(content=text, ids=()) for text in texts]).tolist()


def heard(api: Api) -> None:
    """Forget what was asked so far."""
    api.asked.clear()


def test_texts_are_one_request_and_their_vectors_in_order(asking: Ask, api: Api) -> None:
    api.vector = lambda text: {"b": OTHER}.get(text, UNIT)
    assert embed(asking(api), "a", "b", " Ça\n") == [unit32(), OTHER, unit32()]
    (asked,) = api.asked
    assert asked.path == "/v1/embeddings"
    assert asked.content == {
        "model": "m",
        "encoding_format": "base64",
        "input": ["a", "b", " Ça\n", WITNESS],
    }
    assert "Authorization" not in asked.headers


def test_the_witness_is_heard_once_and_the_connection_kept(asking: Ask, api: Api) -> None:
    backend = asking(api)
    for _ in range(3):
        embed(backend, "a")
    assert [asked.texts for asked in api.asked] == [["a", WITNESS], ["a"], ["a"]]
    assert len({asked.connection for asked in api.asked}) == 1


def test_a_kept_connection_that_was_closed_is_made_anew(
    asking: Ask, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.hangs_up = True
    backend = asking(api)
    for _ in range(3):
        assert embed(backend, "a") == [unit32()]
        time.sleep(0.1)
    assert len(api.asked) == len({asked.connection for asked in api.asked}) == 3
    assert not caplog.messages  # it was no failure


def test_a_model_and_dimensions_are_asked_for_as_declared(asking: Ask, api: Api) -> None:
    upstreams = [{"url": api.url, "model": "its-name"}]
    embed(asking(api, upstreams=upstreams, shortened=True), "a")
    assert api.asked[0].content["model"] == "its-name"
    assert api.asked[0].content["dimensions"] == 6


def test_the_witness_goes_behind_the_prompt(asking: Ask, api: Api) -> None:
    embed(asking(api, prompts={"query": "q: "}, default_prompt="query"), "a")
    assert api.asked[0].texts == ["a", f"q: {WITNESS}"]


@pytest.mark.parametrize(
    "first",
    [
        problem(429, "rate_limit_exceeded", Retry_After="0"),
        problem(429, "rate_limit_exceeded"),
        problem(503, "not_ready", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
        problem(408),
        (500, {}, b""),
        (200, {"Content-Length": "100000", "Connection": "close"}, b"cut off"),
    ],
)
def test_what_may_pass_is_asked_again(asking: Ask, api: Api, first: Reply) -> None:
    api.replies = [first]
    assert embed(asking(api, seconds=20), "a") == [unit32()]
    assert len(api.asked) == 2


def test_a_retry_after_is_kept_to(asking: Ask, api: Api) -> None:
    api.replies = [problem(429, Retry_After="1")]
    begun = time.monotonic()
    embed(asking(api, seconds=20), "a")
    assert time.monotonic() - begun > 0.9


def test_a_retry_after_beyond_the_time_is_not_waited_for(asking: Ask, api: Api) -> None:
    later = email.utils.formatdate(time.time() + 3600, usegmt=True)
    for header in ("200", later):
        api.replies = [problem(429, "insufficient_quota", Retry_After=header)]
        with pytest.raises(UpstreamError, match="answers 429 insufficient_quota") as caught:
            embed(asking(api), "a")
        assert 190 <= caught.value.seconds <= 300
        assert caught.value.is_absent


def test_while_it_rests_for_long_requests_are_refused_at_once(asking: Ask, api: Api) -> None:
    api.replies = [problem(429, Retry_After="200")]
    backend = asking(api)
    with pytest.raises(UpstreamError):
        embed(backend, "a")
    with pytest.raises(UpstreamError, match=r"is not asked for another (200|199) s"):
        embed(backend, "a")
    assert len(api.asked) == 1


def test_an_api_that_is_not_there_yet_is_waited_for(asking: Ask) -> None:
    port = free_port()
    backend = asking(f"http://127.0.0.1:{port}/v1", seconds=20)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(embed(backend, "a")))
    thread.start()
    time.sleep(0.3)
    with serving(port) as api:
        thread.join(WAIT)
        assert found == [[unit32()]]
        assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (problem(503), r"answers 503 x$"),
        (problem(502, "a text; with more"), r"answers 502$"),
        ((500, {}, b"the text"), r"answers 500$"),
    ],
)
def test_it_is_given_up_when_the_time_is_over(
    asking: Ask, api: Api, reply: Reply, said: str
) -> None:
    api.answer = lambda _: reply
    with pytest.raises(UpstreamError, match="no upstream gives a vector within 1 s") as caught:
        embed(asking(api, seconds=1), "the text")
    assert re.search(said, str(caught.value))
    assert "the text" not in str(caught.value)
    assert caught.value.is_absent
    assert len(api.asked) > 2


@contextlib.contextmanager
def hanging(directions: bytes) -> Iterator[str]:
    """Take connections and answer with these bytes, one after the other, ever again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    while not ended.wait(0.05):
                        connection.sendall(directions)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(WAIT)


@pytest.mark.parametrize(
    "directions", [b"", b"H", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n"]
)
def test_an_api_that_hangs_or_drips_is_given_up(asking: Ask, directions: bytes) -> None:
    with hanging(directions) as url:
        begun = time.monotonic()
        with pytest.raises(UpstreamError, match=r"gives no answer within|cannot be reached"):
            embed(asking(url, seconds=1), "a")
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_text_that_is_refused_is_found_among_others(asking: Ask, api: Api, status: int) -> None:
    refusal = problem(status, "text_too_long")
    api.answer = lambda asked: refusal if "the text" in asked.texts else None
    with pytest.raises(InputError, match=rf"refuses the text \({status} text_too_long\)") as caught:
        embed(asking(api), "a", "b", "c", "the text", "d")
    assert caught.value.index == 3


def test_an_api_that_takes_fewer_texts_at_a_time_gets_fewer(asking: Ask, api: Api) -> None:
    refusal = problem(413, "batch_too_large")
    api.answer = lambda asked: refusal if len(asked.texts) > 3 else None
    assert embed(asking(api), *"abcdefg") == [unit32()] * 7


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (problem(401, KEY), r"refuses the API key \(401\)"),
        (problem(403), r"refuses the API key \(403\)"),
        (problem(404, "model_not_found"), "answers 404 model_not_found for m"),
        ((301, {"Location": "http://elsewhere.invalid"}, b""), "answers 301 for m"),
        (listed(encoded(UNIT[:5]), encoded(UNIT)), "makes vectors of 5 numbers, where 6"),
        (listed([*UNIT, 0.0], UNIT), "makes vectors of 7 numbers"),
        (listed(encoded([float("nan"), *UNIT[1:]]), UNIT), "answers with NaN or infinity"),
        (listed([float("inf"), *UNIT[1:]], UNIT), "answers with NaN or infinity"),
        (listed([1e300, *UNIT[1:]], UNIT), "answers with NaN or infinity"),
        (listed([3 * number for number in UNIT], UNIT), "a vector of length 3"),
        (listed([0.0] * 6, UNIT), "a vector of length 0"),
        (listed([True, *UNIT[1:]], UNIT), "something else than 2 vectors"),
        (listed(["0", *UNIT[1:]], UNIT), "something else than 2 vectors"),
        (listed([10**400, *UNIT[1:]], UNIT), "something else than 2 vectors"),
        (listed("no base64!", UNIT), "something else than 2 vectors"),
        (listed("AAAA", UNIT), "something else than 2 vectors"),
        (listed(None, UNIT), "something else than 2 vectors"),
        (listed({"0": 1}, UNIT), "something else than 2 vectors"),
        (listed(UNIT), "something else than 2 vectors"),
        (listed(UNIT, UNIT, UNIT), "something else than 2 vectors"),
        (listed(UNIT, UNIT, index=0), "something else than 2 vectors"),
        (listed(UNIT, UNIT, index=True), "something else than 2 vectors"),
        (listed(UNIT, UNIT, index="0"), "something else than 2 vectors"),
        ((200, {}, b"<html>"), "something else than 2 vectors"),
        ((200, {}, b"\xff"), "something else than 2 vectors"),
        ((200, {}, b"[]"), "something else than 2 vectors"),
        ((200, {}, b"[" * 60_000), "something else than 2 vectors"),
        ((200, {}, b'{"data": [1, 2]}'), "something else than 2 vectors"),
        ((200, {}, b'{"data": []}'), "something else than 2 vectors"),
        ((200, {}, b'{"data": [{}, {}]}'), "something else than 2 vectors"),
        ((200, {}, b"9" * 100_000), r"answers with more than \d+ bytes"),
        (
            (200, {"Equivec-Vector-Space": "sha256:" + "6" * 64}, listed(UNIT, UNIT)[2]),
            r"makes vectors of the space 'sha256:666.*'; it is declared to be of sha256:555",
        ),
        (
            (200, {"Equivec-Precision": "q8_0"}, listed(UNIT, UNIT)[2]),
            "has the precision 'q8_0'; float32 is declared",
        ),
    ],
)
def test_what_is_not_as_declared_is_not_asked_again(
    asking: Ask, api: Api, reply: Reply, said: str
) -> None:
    api.replies = [reply]
    with pytest.raises(UpstreamError, match=said) as caught:
        embed(asking(api), "a")
    assert not caught.value.is_absent
    assert KEY not in str(caught.value)
    assert len(api.asked) == 1


def test_vectors_need_no_unit_length_where_none_is_declared(asking: Ask, api: Api) -> None:
    api.vector = lambda _: [3.0] * 6
    assert embed(asking(api, normalize=False), "a") == [[3.0] * 6]


def test_numbers_are_taken_where_base64_is_not_known(asking: Ask, api: Api) -> None:
    _, _, body = listed(UNIT, OTHER)
    swapped = body.replace(b'"index": 0', b'"index": 9').replace(b'"index": 1', b'"index": 0')
    api.replies = [listed(UNIT, UNIT), (200, {}, swapped.replace(b'"index": 9', b'"index": 1'))]
    backend = asking(api)
    assert embed(backend, "a") == [unit32()]
    assert embed(backend, "a", "b") == [OTHER, unit32()]


def test_what_an_equivec_upstream_says_of_itself_agrees(asking: Ask, api: Api) -> None:
    api.headers = {"Equivec-Vector-Space": SPACE, "Equivec-Precision": "float32"}
    assert embed(asking(api, precision="q8_0"), "a") == [unit32()]


def test_the_first_is_preferred(asking: Ask, api: Api, second: Api) -> None:
    backend = asking(api, second)
    for _ in range(3):
        embed(backend, "a")
    assert len(api.asked) == 3
    assert not second.asked


FAILURES: Mapping[str, Reply] = {
    "overloaded": problem(429, Retry_After="100"),
    "broken": (500, {}, b""),
    "without a key": problem(401),
    "without the model": problem(404),
    "of another dimension": listed(UNIT[:5], UNIT[:5]),
    "of another space": (200, {"Equivec-Vector-Space": "declared:x"}, listed(UNIT, UNIT)[2]),
}


@pytest.mark.parametrize("reply", FAILURES.values(), ids=FAILURES)
def test_the_next_of_the_space_answers_where_the_first_does_not(
    asking: Ask, api: Api, second: Api, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api.answer = lambda _: reply
    backend = asking(api, second)
    for _ in range(3):
        assert embed(backend, "a") == [unit32()]
    assert len(second.asked) == 3
    said = [record.message for record in caplog.records if api.url in record.message]
    assert len(said) == 1  # not for every request


def test_an_upstream_that_is_down_answers_again_when_it_is_back(
    asking: Ask, second: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    backend = asking(f"http://127.0.0.1:{port}/v1", second)
    embed(backend, "a")
    with serving(port) as api:
        deadline = time.monotonic() + WAIT
        while not api.asked and time.monotonic() < deadline:
            embed(backend, "a")
        assert api.asked[0].texts == ["a", WITNESS]
        embed(backend, "b")
        assert api.asked[-1].texts == ["b"]
    assert f"{api.url} answers again" in caplog.messages


def test_one_that_hangs_leaves_the_next_its_time(asking: Ask, second: Api) -> None:
    with hanging(b"") as url:
        assert embed(asking(url, second, seconds=2), "a") == [unit32()]


def test_whether_it_is_well_again_one_request_finds_out_for_all(
    asking: Ask, api: Api, second: Api
) -> None:
    api.replies = [(500, {}, b"")]
    backend = asking(api, second, seconds=20)
    embed(backend, "a")
    time.sleep(0.1)
    heard(api)
    api.seconds = 0.5
    threads = [threading.Thread(target=embed, args=(backend, "a")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(api.asked) == 1
    assert len(second.asked) == 1 + 5


def test_failures_at_the_same_time_count_once(
    asking: Ask, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = asking(api, seconds=WAIT)
    monkeypatch.setattr(succession, "FIRST_REST", 2.0 * WAIT)
    monkeypatch.setattr(succession, "LONGEST_REST", 1000.0)
    together = threading.Barrier(4)

    def answer(_: object) -> Reply:
        together.wait(WAIT)
        return 500, {}, b""

    api.answer = answer
    raised: list[UpstreamError] = []

    def ask() -> None:
        try:
            embed(backend, "a")
        except UpstreamError as error:
            raised.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(raised) == len(api.asked) == 4
    assert all(error.seconds <= 2 * WAIT for error in raised)


def test_an_upstream_that_makes_other_vectors_never_answers(
    asking: Ask, api: Api, second: Api
) -> None:
    """The operator declared two models to be of one space: what the first made, decides."""
    backend = asking(api, second)
    embed(backend, "a")
    api.answer = lambda _: (500, {}, b"")
    second.vector = lambda _: OTHER
    with pytest.raises(UpstreamError, match=r"its vector of a text is 1\.41 from that of") as e:
        embed(backend, "a")
    assert second.url in str(e.value)
    api.answer = lambda _: None
    time.sleep(0.1)
    assert embed(backend, "a") == [unit32()]


def test_an_upstream_that_changes_its_model_is_found_out_after_a_failure(
    asking: Ask, api: Api
) -> None:
    backend = asking(api)
    embed(backend, "a")
    api.replies = [(500, {}, b"")]
    api.vector = lambda _: OTHER
    with pytest.raises(UpstreamError, match="not of the space it is declared to be of"):
        embed(backend, "a")


def test_two_precisions_of_one_space_may_replace_each_other(
    asking: Ask, api: Api, second: Api
) -> None:
    near = np.array([0.05, *UNIT[1:]])
    second.vector = lambda _: (near / np.linalg.norm(near)).tolist()
    backend = asking(api, second)
    embed(backend, "a")
    api.answer = lambda _: (500, {}, b"")
    assert embed(backend, "a") == [unit32(second.vector("a"))]


def test_all_that_fail_are_named(asking: Ask, api: Api, second: Api) -> None:
    api.answer = lambda _: problem(401)
    second.answer = lambda _: problem(503)
    with pytest.raises(UpstreamError) as caught:
        embed(asking(api, second, seconds=1), "a")
    assert f"{api.url} refuses the API key (401)" in str(caught.value)
    assert f"{second.url} answers 503 x" in str(caught.value)
    assert not caught.value.is_absent


def test_a_closed_backend_waits_for_nobody(asking: Ask, api: Api) -> None:
    api.answer = lambda _: problem(503, Retry_After="15")
    backend = asking(api, seconds=20)
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            embed(backend, "a")
        except UpstreamError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + WAIT
    while not api.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    backend.close()
    thread.join(5)
    assert len(raised) == 1


def test_a_key_is_sent_and_not_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    upstreams = [{"url": api.url, "key_variable": "OTHER_KEY"}]
    settings = Settings(upstreams=(declared(api, upstreams=upstreams),))
    backend = Backend.load(settings.model_dir, settings)
    embed(backend, "a")
    api.replies = [problem(404, KEY)]
    with pytest.raises(UpstreamError, match="answers 404 for m") as caught:
        embed(backend, "a")
    backend.close()
    assert api.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value)
    assert f"the API key is sent to 127.0.0.1:{api.port} unencrypted" in caplog.messages
    (line,) = [place.line for place in backend._succession._places]
    assert line.upstream.key == KEY
    assert KEY not in f"{line.upstream!r}{settings!r}{backend.runtime!r}{caplog.text}"


def test_an_api_without_a_certificate_that_is_trusted_gets_nothing(asking: Ask) -> None:
    with serving(certificate=CERTIFICATE) as api:
        with pytest.raises(UpstreamError, match="certificate verify failed") as caught:
            embed(asking(api, seconds=1), "a")
        assert caught.value.is_absent
        assert not api.asked


def test_a_certificate_may_be_trusted(asking: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with serving(certificate=CERTIFICATE) as api:
        backend = asking(api)
        for _ in range(2):
            assert embed(backend, "a") == [unit32()]
        assert len({asked.connection for asked in api.asked}) == 1
        api.seconds = 3
        with pytest.raises(UpstreamError, match="gives no answer within 2 s"):
            embed(backend, "a")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "is empty"),
        (f"{KEY} more", "holds what no key has"),
        (f"{KEY}\r\nHost: x", "holds what no key has"),
        (f"{KEY}é", "holds what no key has"),
    ],
)
def test_a_key_that_cannot_be_used(
    api: Api, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    monkeypatch.setenv("OTHER_KEY", key)
    upstreams = [{"url": api.url, "key_variable": "OTHER_KEY"}]
    settings = Settings(upstreams=(declared(api, upstreams=upstreams),))
    with pytest.raises(SettingsError, match=said) as caught:
        Backend.load(settings.model_dir, settings)
    assert KEY not in str(caught.value)


def test_requests_are_made_at_the_same_time(asking: Ask, api: Api) -> None:
    backend = asking(api)
    assert backend.capabilities.concurrent == 8
    api.seconds = 0.5
    begun = time.monotonic()
    threads = [threading.Thread(target=embed, args=(backend, "a")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(api.asked) == 8
    assert time.monotonic() - begun < 8 * 0.5
