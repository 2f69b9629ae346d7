from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path

import numpy as np
import pytest

from embedding_service.embedder import Embedder, Vector
from embedding_service.errors import (
    EmbeddingError,
    InputError,
    QueueFullError,
    UpstreamError,
)
from embedding_service.inputs import Given, Image
from embedding_service.lengths import IMAGE_LENGTH
from embedding_service.observer import Unobserved
from embedding_service.reading import Read
from tests.unit.service.scripted_backend import (
    SECONDS,
    Scripted,
    embedding,
    read,
    reads,
    scripted,
    vector_of,
)
from tests.unit.service.tiny_model import MAX_TOKENS, Vectors, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def results(futures: Sequence[Future[Vector]]) -> list[Vector]:
    return [future.result(SECONDS) for future in futures]


def occupied(embedder: Embedder, backend: type[Scripted]) -> Future[Vector]:
    """Let a thread compute something that takes until the gate opens."""
    (future,) = embedder.submit(reads("wait"))
    assert backend.begun.acquire(timeout=SECONDS)
    return future


def test_each_input_gets_its_own_vector(model: Path) -> None:
    contents = [f"text {number}" for number in range(100)]
    with embedding(scripted(), model) as embedder:
        found = results(embedder.submit(reads(*contents)))
    np.testing.assert_array_equal(found, [vector_of(content) for content in contents])


def test_what_comes_in_meanwhile_is_computed_together(model: Path) -> None:
    backend = scripted()
    with embedding(backend, model, batch_inputs=4) as embedder:
        occupied(embedder, backend)
        futures = [embedder.submit(reads(f"{number}"))[0] for number in range(6)]
        assert embedder.waiting == 6
        backend.gate.set()
        results(futures)
        assert embedder.waiting == 0
    assert backend.given == [["wait"], ["0", "1", "2", "3"], ["4", "5"]]


def test_who_waits_is_told_once_for_a_batch_when_all_of_it_is_done(model: Path) -> None:
    backend = scripted()
    told: list[list[bool]] = []
    whole = threading.Event()
    futures: list[Future[Vector]] = []

    def arrived() -> None:
        told.append([future.done() for future in futures])
        if all(told[-1]):
            whole.set()

    with embedding(backend, model, batch_inputs=2) as embedder:
        occupied(embedder, backend)
        futures += embedder.submit(reads("a"), arrived=arrived)
        futures += embedder.submit(reads("refuse", "c", "d"), arrived=arrived)
        backend.gate.set()
        assert whole.wait(SECONDS)
    assert told == [[True, True, False, False], [True] * 4]


def test_the_token_budget_holds(model: Path) -> None:
    backend = scripted()
    with embedding(backend, model, batch_tokens=12) as embedder:
        occupied(embedder, backend)
        futures = embedder.submit([read("a", count=3), read("b", count=4), *reads("c", "d", "e")])
        backend.gate.set()
        results(futures)
    assert backend.given[1:] == [["a", "c", "d", "e"], ["b"]]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"batching": "none"}, [["a"], ["b"]]),
        # Each counts for the longest that there can be.
        ({"batching": "fixed"}, [["a"], ["b"]]),
        ({"batching": "padded"}, [["a", "b"]]),
    ],
)
def test_the_backend_says_what_together_means(
    model: Path, attributes: dict[str, str], expected: list[list[str]]
) -> None:
    backend = scripted(**attributes)
    with embedding(backend, model, batch_tokens=2 * MAX_TOKENS - 1) as embedder:
        occupied(embedder, backend)
        futures = embedder.submit(reads("a", "b"))
        backend.gate.set()
        results(futures)
    assert backend.given[1:] == expected


def test_where_tokens_are_not_known_characters_count(model: Path) -> None:
    backend = scripted(counts=False)
    with embedding(backend, model, batch_tokens=30) as embedder:
        occupied(embedder, backend)
        futures = embedder.submit([read("a" * 40, count=0), read("b" * 41, count=0)])
        futures += embedder.submit([read("c" * 40, count=0), read("d" * 40, count=0)])
        backend.gate.set()
        results(futures)
    assert [[content[0] for content in batch] for batch in backend.given[1:]] == [
        ["a", "c", "d"],
        ["b"],
    ]


def test_images_count_too(model: Path) -> None:
    backend = scripted()
    image = Read(given=Image(content=b"x"), prompt=None, tokens=0, truncated=False)
    with embedding(backend, model, batch_tokens=2 * IMAGE_LENGTH) as embedder:
        occupied(embedder, backend)
        futures = embedder.submit([image] * 3)
        backend.gate.set()
        results(futures)
    assert [len(batch) for batch in backend.given[1:]] == [2, 1]


def test_a_refused_input_does_not_harm_its_neighbours(model: Path) -> None:
    backend = scripted()
    with embedding(backend, model) as embedder:
        occupied(embedder, backend)
        a, refused, b, again, c = embedder.submit(reads("a", "refuse", "b", "refuse", "c"))
        backend.gate.set()
        np.testing.assert_array_equal(results([a, b, c]), [vector_of(each) for each in "abc"])
        for future in (refused, again):
            with pytest.raises(InputError, match="it is refused") as refusal:
                future.result(SECONDS)
            assert refusal.value.index == 0  # of the request, which has it once
    assert backend.given[1:] == [
        ["a", "refuse", "b", "refuse", "c"],
        ["a", "b", "refuse", "c"],
        ["a", "b", "c"],
    ]


def test_an_input_that_fails_does_not_harm_its_neighbours(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = scripted()
    with embedding(backend, model) as embedder:
        occupied(embedder, backend)
        a, failed, b = embedder.submit(reads("a", "fail", "b"))
        backend.gate.set()
        np.testing.assert_array_equal(results([a, b]), [vector_of("a"), vector_of("b")])
        with pytest.raises(EmbeddingError, match="it failed"):
            failed.result(SECONDS)
    assert backend.given[1:] == [["a", "fail", "b"], ["a"], ["fail"], ["b"]]
    errors = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert errors == ["it failed", "it failed"]


def test_where_an_upstream_fails_it_is_not_asked_for_each(model: Path) -> None:
    class Elsewhere(Scripted):
        def embed(self, inputs: Sequence[Given]) -> Vectors:
            if len(inputs) > 1:
                self.given.append([])
                raise UpstreamError("it is away", seconds=1, is_absent=True)
            return super().embed(inputs)

    with embedding(Elsewhere, model) as embedder:
        occupied(embedder, Elsewhere)
        futures = embedder.submit(reads("a", "b"))
        Elsewhere.gate.set()
        for future in futures:
            with pytest.raises(UpstreamError):
                future.result(SECONDS)
    assert Elsewhere.given == [["wait"], []]


def test_what_nobody_waits_for_is_not_computed(model: Path) -> None:
    backend = scripted()
    dropped: list[int] = []

    class Counts(Unobserved):
        def dropped(self, inputs: int) -> None:
            dropped.append(inputs)

    with embedding(backend, model, observer=Counts()) as embedder:
        occupied(embedder, backend)
        a, b, c = embedder.submit(reads("a", "b", "c"))
        assert a.cancel()
        assert c.cancel()
        gone = embedder.submit(reads("gone"))[0]
        assert gone.cancel()
        backend.gate.set()
        results([b])
        with pytest.raises(CancelledError):
            a.result(SECONDS)
    assert backend.given == [["wait"], ["b"]]
    assert sum(dropped) == 3


def test_who_observes_is_told_of_each_batch(model: Path) -> None:
    backend = scripted()
    batches: list[tuple[int, int, int]] = []
    waits: list[float] = []

    class Watches(Unobserved):
        def computed(self, *, inputs: int, tokens: int, padded: int, seconds: float) -> None:
            assert seconds >= 0
            batches.append((inputs, tokens, padded))

        def waited(self, seconds: float) -> None:
            waits.append(seconds)

    with embedding(backend, model, observer=Watches()) as embedder:
        occupied(embedder, backend)
        futures = embedder.submit([read("a", count=3), read("refuse", count=8), read("b", count=5)])
        threading.Event().wait(0.05)
        backend.gate.set()
        results(futures[::2])
    assert batches == [(1, 3, 3), (2, 8, 10)]
    assert len(waits) == 4
    assert min(waits[1:]) >= 0.05


def test_what_is_being_computed_is_not_cancelled(model: Path) -> None:
    backend = scripted()
    with embedding(backend, model) as embedder:
        future = occupied(embedder, backend)
        assert not future.cancel()
        backend.gate.set()
        np.testing.assert_array_equal(future.result(SECONDS), vector_of("wait"))


def test_a_full_queue_takes_all_of_a_request_or_nothing(model: Path) -> None:
    backend = scripted()
    with embedding(backend, model, queue=3) as embedder:
        occupied(embedder, backend)
        taken = embedder.submit(reads("a", "b"))
        with pytest.raises(QueueFullError, match="2 inputs are waiting already") as refusal:
            embedder.submit(reads("c", "d"))
        assert refusal.value.seconds >= 1
        assert embedder.waiting == 2
        taken += embedder.submit(reads("c"))
        with pytest.raises(QueueFullError, match="3 inputs are waiting already"):
            embedder.submit(reads("d"))
        backend.gate.set()
        results(taken)
        results(embedder.submit(reads("d")))
    assert sorted(each for batch in backend.given for each in batch) == ["a", "b", "c", "d", "wait"]


def test_a_request_that_is_larger_than_the_queue_is_taken_when_nothing_waits(model: Path) -> None:
    with embedding(scripted(), model, queue=2) as embedder:
        assert len(results(embedder.submit(reads(*"abcde")))) == 5


def test_as_many_threads_compute_as_the_backend_can_do_with(model: Path) -> None:
    """Each of the three waits until all are computing: of inputs that came in at once."""
    meeting = threading.Barrier(3, timeout=SECONDS)

    class Meets(Scripted):
        batching = "none"
        concurrent = 3

        def embed(self, inputs: Sequence[Given]) -> Vectors:
            vectors = super().embed(inputs)
            if self.given:
                meeting.wait()
            return vectors

    with embedding(Meets, model) as embedder:
        results(embedder.submit(reads("a", "b", "c")))
        threading.Event().wait(0.05)  # now all of them have nothing to do
        results(embedder.submit(reads("d", "e", "f")))
    assert sorted(Meets.given) == [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]


def test_one_thread_computes_for_a_backend_that_can_do_with_one(model: Path) -> None:
    backend = scripted(batching="none")
    with embedding(backend, model) as embedder:
        occupied(embedder, backend)
        futures = embedder.submit(reads("wait", "a"))
        assert not backend.begun.acquire(timeout=0.1)
        backend.gate.set()
        results(futures)
