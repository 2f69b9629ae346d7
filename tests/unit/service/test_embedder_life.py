"""The embedder's life: loading, failing to, stopping."""

from __future__ import annotations

import gc
import random
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from embedding_service import recipe as recipes
from embedding_service.embedder import Embedder
from embedding_service.errors import InputError, ModelError, NotReadyError, StartError
from embedding_service.settings import Settings
from tests.unit.service.scripted_backend import (
    SECONDS,
    Scripted,
    embedding,
    read,
    reads,
    scripted,
    vector_of,
)
from tests.unit.service.tiny_model import Vectors, write_model, write_recipe


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def new(backend: type[Scripted], model: Path) -> Embedder:
    settings = Settings.from_environment({"EMBEDDING_MODEL_DIR": str(model)})
    return Embedder(backend=backend, recipe=recipes.read(model), settings=settings)


def failed(backend: type[Scripted], model: Path) -> tuple[Embedder, StartError]:
    """Start an embedder that cannot serve; return it when it has said so."""
    told = threading.Event()
    embedder = new(backend, model)
    embedder.start(on_failure=told.set)
    assert told.wait(SECONDS)
    assert embedder.settled(0)
    assert not embedder.is_ready
    assert embedder.failure is not None
    return embedder, embedder.failure


def slow(loading: threading.Event, gate: threading.Event) -> type[Scripted]:
    """Return a backend that says when it begins to load, and waits at the gate."""

    class Slow(Scripted):
        @classmethod
        def load(cls, model_dir: Path, settings: Settings) -> Slow:
            loading.set()
            assert gate.wait(SECONDS)
            return super().load(model_dir, settings)

    return Slow


def test_while_it_loads_it_takes_nothing(model: Path) -> None:
    loading, gate = threading.Event(), threading.Event()
    embedder = new(slow(loading, gate), model)
    embedder.start(on_failure=lambda: None)
    assert loading.wait(SECONDS)
    assert not embedder.settled(0)
    with pytest.raises(NotReadyError, match="the model is still loading"):
        embedder.submit(reads("a"))
    with pytest.raises(NotReadyError, match="the model is still loading"):
        _ = embedder.reader
    gate.set()
    assert embedder.settled(SECONDS)
    assert embedder.is_ready
    assert embedder.reader.counts_tokens
    assert embedder.runtime == {"kind": "script"}
    embedder.stop(timeout=SECONDS)


def test_it_is_stopped_while_it_loads_and_does_not_wait(model: Path) -> None:
    loading, gate = threading.Event(), threading.Event()
    backend = slow(loading, gate)
    embedder = new(backend, model)
    embedder.start(on_failure=lambda: None)
    assert loading.wait(SECONDS)
    embedder.stop(timeout=SECONDS)
    assert not embedder.settled(0)
    gate.set()
    assert embedder.settled(SECONDS)
    embedder.stop(timeout=SECONDS)
    assert backend.closed.is_set()


def test_what_waits_is_computed_before_it_stops(model: Path) -> None:
    backend = scripted()
    with embedding(backend, model, batch_inputs=2) as embedder:
        first = embedder.submit(reads("wait"))
        assert backend.begun.acquire(timeout=SECONDS)
        others = embedder.submit(reads(*"abcde"))
        embedder.stop(timeout=0)
        with pytest.raises(NotReadyError, match="the service is stopping"):
            embedder.submit(reads("late"))
        assert not backend.closed.is_set()
        backend.gate.set()
        embedder.stop(timeout=SECONDS)
        assert backend.closed.is_set()
        assert [future.done() for future in (*first, *others)] == [True] * 6
        np.testing.assert_array_equal(others[4].result(0), vector_of("e"))


def test_all_its_threads_have_ended_before_the_model_is_freed(model: Path) -> None:
    backend = scripted(batching="none", concurrent=3)
    with embedding(backend, model) as embedder:
        futures = embedder.submit(reads("wait", "wait"))
        assert backend.begun.acquire(timeout=SECONDS)
        assert backend.begun.acquire(timeout=SECONDS)
        embedder.stop(timeout=0.1)
        assert not backend.closed.is_set()
        backend.gate.set()
        embedder.stop(timeout=SECONDS)
        assert backend.closed.is_set()
        assert all(future.done() for future in futures)


def test_one_that_was_never_started_is_stopped_at_once(model: Path) -> None:
    new(scripted(), model).stop(timeout=None)


def test_a_backend_that_cannot_load_is_a_failure(model: Path) -> None:
    class Breaks(Scripted):
        @classmethod
        def load(cls, model_dir: Path, settings: Settings) -> Breaks:
            raise OSError("no such library")

    embedder, failure = failed(Breaks, model)
    assert isinstance(failure, ModelError)
    assert "cannot load" in str(failure)
    with pytest.raises(NotReadyError):
        embedder.submit(reads("a"))
    embedder.stop(timeout=SECONDS)


def test_a_model_that_fails_its_check_is_freed(model: Path) -> None:
    """Its failure is kept, for whoever asks, and with it all that led there."""

    class Wrong(Scripted):
        def embed(self, inputs: Sequence[object]) -> Vectors:
            return np.full((len(inputs), 6), np.nan, dtype=np.float32)

    _, failure = failed(Wrong, model)
    assert "failed its self-check: scripted returned a vector with NaN" in str(failure)
    assert Wrong.closed.is_set()


def test_a_model_is_checked_on_each_kind_of_input(model: Path) -> None:
    write_recipe(model, inputs=["text", "image"])
    backend = scripted()
    with embedding(backend, model):
        pass
    ((text, image),) = backend.given
    assert text == "hello world"
    assert "PNG" in image


def test_files_that_are_not_the_recipes_are_a_failure(model: Path) -> None:
    (model / "model.onnx").write_bytes(b"altered")
    backend = scripted()
    _, failure = failed(backend, model)
    assert "is altered" in str(failure)
    assert backend.given == []


def test_it_is_freed_with_its_model(model: Path) -> None:
    backend = scripted()
    with embedding(backend, model) as embedder:
        embedder.submit(reads("a"))[0].result(SECONDS)
    kept = weakref.ref(embedder)
    del embedder
    gc.collect()
    assert kept() is None


def test_with_many_clients_nothing_is_lost_or_mixed_up(model: Path) -> None:
    """Some refused, some given up; with two threads, in batches of all sizes."""
    backend = scripted(concurrent=2)

    def client(embedder: Embedder, number: int) -> int:
        chance = random.Random(number)  # noqa: S311 -- no secret
        answered = 0
        for turn in range(40):
            contents = [f"{number}-{turn}-{each}" for each in range(chance.randint(1, 5))]
            contents += ["refuse"] * (chance.random() < 0.1)
            futures = embedder.submit([read(each, count=chance.randint(3, 8)) for each in contents])
            if chance.random() < 0.2:
                for future in futures:
                    future.cancel()
                continue
            for content, future in zip(contents, futures, strict=True):
                if content == "refuse":
                    assert isinstance(future.exception(SECONDS), InputError)
                else:
                    np.testing.assert_array_equal(future.result(SECONDS), vector_of(content))
                    answered += 1
        return answered

    with embedding(backend, model, batch_tokens=40) as embedder, ThreadPoolExecutor(8) as clients:
        answered = sum(clients.map(lambda number: client(embedder, number), range(8)))
        deadline = time.monotonic() + SECONDS
        while embedder.waiting and time.monotonic() < deadline:
            time.sleep(0.01)  # what was given up last is dropped when it is its turn
        assert embedder.waiting == 0
    assert answered > 500
    assert max(map(len, backend.given)) > 2
