"""The measurements of the service: the load generator, and what becomes of its answers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from builders.bench.serve import asking, claims, comparisons, endurance, load, running, subjects
from builders.bench.serve.asking import Answers, Asked, Part
from builders.bench.serve.load import Signal, Stream
from builders.bench.serve.running import Server
from builders.bench.serve.texts import texts
from builders.errors import BenchError
from builders.fixture.tokenizer import tokenizer_json
from builders.fixture.vocabulary import NATURAL

VECTORS = np.array([[1, 0], [0, 1]], dtype=np.float32)


def embedding(vector: list[float]) -> bytes:
    body = json.dumps({"embedding": vector}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}"


@contextlib.contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """Serve on a port: each request gets an answer; one that is not whole ends the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(1 << 16):
                answered = answer(request)
                # In two pieces, as a network may bring them.
                connection.sendall(answered[:7])
                connection.sendall(answered[7:])
                head, _, body = answered.partition(b"\r\n\r\n")
                if not head or len(body) < load.content_length(head):
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    try:
        yield port
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def stream(port: int, *, clients: int = 3, answers: int | None = 50) -> Stream:
    return Stream(
        requests=[load.request(port, "/embed", body) for body in (b"0", b"1")],
        clients=clients,
        answers=answers,
        expected=VECTORS,
    )


def right(request: bytes) -> bytes:
    return embedding([1, 0] if request.endswith(b"0") else [0, 1])


class TestLoad:
    def test_every_answer_is_counted_and_checked(self) -> None:
        with answering(right) as port:
            asked = stream(port)
            load.run(port, [asked])
        assert len(asked.latencies) == asked.asked == 50
        assert (asked.wrong, asked.refused, asked.lost) == (0, 0, 0)

    def test_a_wrong_vector_is_found(self) -> None:
        with answering(lambda _: embedding([1, 0])) as port:
            asked = stream(port)
            load.run(port, [asked])
        assert asked.wrong == 25

    @pytest.mark.parametrize("vector", [[1, 2e-5], [1], [1, 0, 0], [float("nan"), 0]])
    def test_a_vector_is_wrong_in_every_way_that_it_can_be(self, vector: list[float]) -> None:
        assert not load.is_right(json.dumps({"embedding": vector}).encode(), VECTORS[0])
        assert load.is_right(b'{"embedding": [1.000001, 0]}', VECTORS[0])

    def test_a_refusal_is_no_vector(self) -> None:
        with answering(lambda _: REFUSAL) as port:
            asked = stream(port)
            load.run(port, [asked])
        assert (asked.refused, asked.wrong) == (50, 0)

    def test_a_closed_connection_loses_its_request(self) -> None:
        with answering(lambda _: b"") as port:
            asked = stream(port)
            load.run(port, [asked])
        assert (asked.lost, asked.refused, asked.latencies) == (3, 0, [])

    def test_an_answer_that_breaks_off_is_lost(self) -> None:
        with answering(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{") as port:
            asked = stream(port)
            load.run(port, [asked])
        assert (asked.lost, asked.latencies) == (3, [])

    def test_an_answer_without_a_length_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="how long it is"):
            load.content_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")

    def test_a_stream_without_a_number_lasts_as_long_as_the_others(self) -> None:
        with answering(right) as port:
            bounded, endless = stream(port), stream(port, answers=None)
            load.run(port, [bounded, endless])
        assert len(bounded.latencies) == 50
        assert endless.latencies
        assert endless.lost == bounded.lost == 0

    def test_after_the_signal_a_closed_connection_refuses_and_before_it_loses(self) -> None:
        ended = threading.Event()
        previous = signal.signal(signal.SIGTERM, lambda *_: ended.set())
        try:
            with answering(lambda request: b"" if ended.is_set() else right(request)) as port:
                asked = stream(port, answers=None)
                load.run(port, [asked], Signal(process=os.getpid(), answers=20))
        finally:
            signal.signal(signal.SIGTERM, previous)
        assert len(asked.latencies) >= 20
        # Of three clients, some were waiting when the signal came, and the server dropped them.
        assert asked.refused + asked.lost == 3
        assert asked.refused >= 1


class TestAsking:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Callable[[Callable[[bytes], bytes]], Server]]:
        with contextlib.ExitStack() as stack:

            def start(answer: Callable[[bytes], bytes]) -> Server:
                return Server(
                    name="a server",
                    argv=(),
                    environment={},
                    port=stack.enter_context(answering(answer)),
                    path="/embed",
                    model="",
                    log=tmp_path / "log",
                )

            yield start

    def test_the_program_asks_what_it_is_told(
        self, server: Callable[[Callable[[bytes], bytes]], Server], tmp_path: Path
    ) -> None:
        np.save(tmp_path / "expected.npy", VECTORS)
        bodies: set[bytes] = set()

        def answer(request: bytes) -> bytes:
            bodies.add(request.partition(b"\r\n\r\n")[2])
            return embedding([1, 0] if b"one" in request else [0, 1])

        with asking.asking(
            server(answer),
            {"texts": ["one", "two"]},
            tmp_path,
            expected={"texts": tmp_path / "expected.npy"},
        ) as clients:
            asked = clients.ask(Part(texts="texts", clients=2, answers=10))
            assert asked.answers == 10
            assert asked.rate > 0
        assert bodies == {b'{"text": "one"}', b'{"text": "two"}'}

    @pytest.mark.parametrize(
        ("answer", "what"),
        [(REFUSAL, "refused"), (b"", "lost"), (embedding([0, 0]), "wrong")],
    )
    def test_what_is_not_right_ends_a_comparison(
        self,
        server: Callable[[Callable[[bytes], bytes]], Server],
        tmp_path: Path,
        answer: bytes,
        what: str,
    ) -> None:
        np.save(tmp_path / "expected.npy", VECTORS)
        with (
            asking.asking(
                server(lambda _: answer),
                {"texts": ["one", "two"]},
                tmp_path,
                expected={"texts": tmp_path / "expected.npy"},
            ) as clients,
            pytest.raises(BenchError, match=f"answers {what}"),
        ):
            clients.ask(Part(texts="texts", clients=2, answers=10))


def answers(*milliseconds: float, wrong: int = 0, refused: int = 0, lost: int = 0) -> Answers:
    latencies = tuple(each / 1e3 for each in milliseconds)
    return Answers(latencies=latencies, wrong=wrong, refused=refused, lost=lost)


def asked(*streams: Answers) -> Asked:
    return Asked(seconds=2, streams=streams)


class TestFigures:
    def test_percentiles(self) -> None:
        found = answers(*range(1, 102))
        assert (round(found.typical), round(found.slow)) == (51, 100)

    def test_a_comparison_s_quotient_is_that_of_each_round(self) -> None:
        ours, theirs, ratio = comparisons.compared([(10, 5), (9, 6), (8, 8)])
        assert (ours.value, theirs.value, ratio.value) == (9, 6, 1.5)

    def test_servers_that_compute_something_else_are_not_compared(self) -> None:
        same = np.array([1.0, 0])
        comparisons.refuse_unlike([(same, same + 1e-6)])
        for other in (np.array([0, 1.0]), np.array([float("nan"), 0])):
            with pytest.raises(BenchError, match="apart"):
                comparisons.refuse_unlike([(same, same), (same, other)])

    def test_memory_that_grows_after_the_warm_up_is_seen(self) -> None:
        memory = [100.0, 120.0, *[120.0] * 17, 126.0]
        figures = endurance.soak_figures([asked(answers(1, 2, lost=1, wrong=2))] * 2, memory)
        assert {one.claim: one.value for one in figures} == {
            "answers": 4,
            "lost": 2,
            "wrong": 4,
            "memory": 120,
            "growth": 5,
        }

    def test_short_texts_are_held_against_their_own_p99_and_one_batch(self) -> None:
        rounds = [
            endurance.Round(alone=10, typical=70, batch=90, among=among) for among in (80, 120, 100)
        ]
        assert {one.claim: one.value for one in endurance.length_figures(rounds)} == {
            "alone": 10,
            "typical": 70,
            "batch": 90,
            "among": 100,
            "ratio": 1,
            "ratio-typical": 1.25,
        }

    def test_a_request_that_was_accepted_and_lost_counts(self) -> None:
        figures = endurance.end_figures([asked(answers(1, refused=3)), asked(answers(1, lost=1))])
        assert [(one.claim, one.value) for one in figures] == [
            ("answers", 2),
            ("lost", 1),
            ("refused", 3),
        ]

    def test_each_measurement_s_figures_are_claimed(self) -> None:
        named = {each.name: {claim.name for claim in each.claims} for each in claims.SERVE}
        once = endurance.Round(alone=1, typical=1, batch=1, among=1)
        for name, figures in (
            ("infinity", comparisons.compared([(1, 1)])),
            ("llama-cpp-server", comparisons.compared([(1, 1)])),
            ("soak", endurance.soak_figures([asked(answers(1))], [1.0] * 3)),
            ("lengths", endurance.length_figures([once])),
            ("sigterm", endurance.end_figures([asked(answers(1))])),
        ):
            assert {one.claim for one in figures} == named[name]


class TestTexts:
    def test_every_text_has_as_many_tokens_as_it_should(self) -> None:
        tokenizers = pytest.importorskip("tokenizers")
        tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json(NATURAL).decode())
        for tokens in (3, 16, 512):
            found = texts(20, tokens=tokens, seed="a")
            assert len(set(found)) == 20
            assert {len(tokenizer.encode(text).ids) for text in found} == {tokens}

    def test_a_seed_is_a_choice(self) -> None:
        assert texts(5, tokens=9, seed="a") == texts(5, tokens=9, seed="a")
        assert texts(5, tokens=9, seed="a") != texts(5, tokens=9, seed="b")


class TestRunning:
    def test_a_server_that_ends_is_told_with_the_last_of_its_output(self, tmp_path: Path) -> None:
        server = Server(
            name="a server",
            argv=(sys.executable, "-c", "raise SystemExit('no model')"),
            environment={},
            port=running.free_port(),
            path="/embed",
            model="",
            log=tmp_path / "log",
        )
        with pytest.raises(BenchError, match="no model"), running.running(server):
            pass


class TestPeers:
    def test_infinity_keeps_no_answers_and_runs_no_code_of_the_model(self) -> None:
        argv = subjects.infinity_argv(Path("/v/bin/python"), Path("/m"), 1234)
        assert {"--no-vector-disk-cache", "--no-trust-remote-code"} <= set(argv)
        assert argv[argv.index("--host") + 1] == "127.0.0.1"

    def test_the_server_of_llama_cpp_computes_as_ours_does(self, tmp_path: Path) -> None:
        (tmp_path / "model.json").write_text('{"name": "fixture-768"}', encoding="utf-8")
        argv = subjects.llama_cpp_server_argv(Path("/v/bin/python"), tmp_path, 1234)
        settings = dict(zip(argv[2::2], argv[3::2], strict=True))
        assert settings["--n_threads"] == settings["--n_threads_batch"] == "1"
        assert settings["--model_alias"] == "fixture-768"
        assert settings["--host"] == "127.0.0.1"

    def test_what_they_need_is_locked_with_hashes(self) -> None:
        for peer in (subjects.INFINITY, subjects.LLAMA_CPP_SERVER):
            text = (subjects.PEERS / peer / "locks" / "linux-amd64.txt").read_text()
            assert text.count("==") == text.count("--hash=sha256:") > 0


@pytest.mark.parametrize(
    ("path", "is_server"),
    [
        ("llama_cpp/server/app.py", True),
        ("llama_cpp/server/__main__.py", True),
        ("llama_cpp/llama.py", False),
        ("llama_cpp/server/../../escape.py", False),
        ("/llama_cpp/server/app.py", False),
    ],
)
def test_of_the_source_archive_the_server_alone_is_taken(path: str, is_server: bool) -> None:  # noqa: FBT001 -- a case
    assert bool(subjects.SERVER_CODE.fullmatch(path)) == is_server
