from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from embedding_service import answering
from embedding_service.answering import Answered, Question, answer
from embedding_service.errors import (
    DimensionsError,
    EmbeddingError,
    ImageTooLargeError,
    InputError,
    NotReadyError,
    QueueFullError,
    SpaceMismatchError,
    TooLongError,
    TooManyInputsError,
    UnknownPromptError,
)
from embedding_service.inputs import Asked, Image, TokenIds
from embedding_service.reading import Reader
from embedding_service.recipe import Matryoshka
from embedding_service.serving import Serving
from tests.unit.service.scripted_backend import (
    SECONDS,
    Scripted,
    embedding,
    reads,
    scripted,
    vector_of,
)
from tests.unit.service.tiny_model import SPACE, write_model

T = TypeVar("T")

SHORTER = "sha256:" + "4" * 64
RECIPE = {"matryoshka": Matryoshka(layer_norm=False, spaces={"4": SHORTER})}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


@contextlib.contextmanager
def serving(
    model: Path, backend: type[Scripted] | None = None, **options: Any
) -> Iterator[Serving]:
    with embedding(backend or scripted(), model, **options) as embedder:
        yield Serving(embedder)


def ask(served: Serving, *inputs: Asked, **options: Any) -> Answered:
    return asyncio.run(answer(served, Question(inputs=inputs, **options)))


def test_each_input_is_answered_in_its_place(model: Path) -> None:
    with serving(model) as served:
        answered = ask(served, "alpha", "beta gamma", TokenIds(ids=[4]), "alpha")
    expected = [vector_of(each) for each in ("alpha", "beta gamma", "alpha", "alpha")]
    np.testing.assert_array_equal(answered.vectors, expected)
    assert answered.vectors.dtype == np.float32
    assert [read.tokens for read in answered.reads] == [3, 4, 3, 3]
    assert (answered.tokens, answered.dimension, answered.is_truncated) == (13, 6, False)
    assert answered.recipe.name == "tiny"
    assert answered.headers == {
        "Equivec-Vector-Space": SPACE,
        "Equivec-Precision": "float32",
        "Equivec-Prompt": "none",
        "Equivec-Truncated": "false",
    }


def test_the_answer_says_which_prompts_were_used_and_what_was_cut(model: Path) -> None:
    with serving(model, recipe={"default_prompt": "query"}) as served:
        assert ask(served, "alpha").headers["Equivec-Prompt"] == "query"
    with serving(model) as served:
        mixed = ask(served, "alpha", "query: beta", "alpha " * 9, truncate=True)
    assert mixed.headers["Equivec-Prompt"] == "none, query"
    assert mixed.headers["Equivec-Truncated"] == "true"
    assert [read.truncated for read in mixed.reads] == [False, False, True]


@pytest.mark.parametrize(
    ("settings", "question", "dimension"),
    [(None, None, 6), (4, None, 4), (4, 6, 6), (None, 4, 4), (6, 4, 4)],
)
def test_the_request_decides_how_long_vectors_are_and_then_the_settings(
    model: Path, settings: int | None, question: int | None, dimension: int
) -> None:
    with serving(model, recipe=RECIPE, dimensions=settings) as served:
        answered = ask(served, "alpha", dimensions=question)
    assert answered.vectors.shape == (1, dimension)
    assert answered.dimension == dimension
    assert answered.vector_space == (SPACE if dimension == 6 else SHORTER)
    cut = vector_of("alpha")[:dimension]
    np.testing.assert_allclose(answered.vectors[0], cut / np.linalg.norm(cut), atol=1e-6)


@pytest.mark.parametrize("dimension", [3, 0, -1])
def test_a_length_that_the_model_has_not_is_refused_with_those_it_has(
    model: Path, dimension: int
) -> None:
    backend = scripted()
    with (
        serving(model, backend, recipe=RECIPE) as served,
        pytest.raises(DimensionsError, match="tiny has vectors of these dimensions: 6, 4"),
    ):
        ask(served, "alpha", dimensions=dimension)
    assert backend.given == []


@pytest.mark.parametrize(
    ("dimensions", "expected", "is_right"),
    [(None, SPACE, True), (4, SHORTER, True), (None, SHORTER, False), (4, SPACE, False)],
)
def test_a_client_that_expects_another_space_gets_no_vectors(
    model: Path, dimensions: int | None, expected: str, *, is_right: bool
) -> None:
    backend = scripted()
    with serving(model, backend, recipe=RECIPE) as served:
        if is_right:
            answered = ask(served, "alpha", dimensions=dimensions, vector_space=expected)
            assert answered.vector_space == expected
            return
        with pytest.raises(SpaceMismatchError) as refusal:
            ask(served, "alpha", dimensions=dimensions, vector_space=expected)
    assert refusal.value.actual == (SHORTER if expected == SPACE else SPACE)
    assert backend.given == []


@pytest.mark.parametrize(
    ("weights", "settings", "question", "kind", "said"),
    [
        ("float32", "float32", None, np.float32, "float32"),
        ("float32", "float16", None, np.float16, "float16"),
        ("float32", "float16", "float32", np.float32, "float32"),
        ("float32", "float32", "float16", np.float16, "float16"),
        ("float16", "float32", None, np.float32, "float16"),
        ("q8_0", "float16", None, np.float16, "q8_0"),
    ],
)
def test_the_coarser_of_weights_and_numbers_is_the_precision(
    model: Path, *, weights: str, settings: str, question: str | None, kind: type, said: str
) -> None:
    with serving(model, recipe={"precision": weights}, precision=settings) as served:
        answered = ask(served, "alpha", precision=question)
    assert answered.vectors.dtype == kind
    assert answered.precision == answered.headers["Equivec-Precision"] == said
    np.testing.assert_allclose(answered.vectors[0], vector_of("alpha"), atol=1e-3)


def test_too_many_inputs_are_refused_before_any_is_read(model: Path) -> None:
    backend = scripted()
    with serving(model, backend, max_inputs=2) as served:
        assert len(ask(served, "a", "b").reads) == 2
        with pytest.raises(TooManyInputsError, match="3 inputs; at most 2"):
            ask(served, "a", "b", "alpha " * 100)
    assert backend.given == [["a", "b"]]


def test_an_image_that_is_too_large_is_refused_by_its_place(model: Path) -> None:
    images = [Image(content=bytes(size)) for size in (10, 11)]
    with (
        serving(model, recipe={"inputs": ["text", "image"]}, max_image_bytes=10) as served,
        pytest.raises(ImageTooLargeError, match="more than 10 bytes") as refusal,
    ):
        ask(served, "alpha", *images)
    assert refusal.value.index == 2


@pytest.mark.parametrize(
    ("error", "options"),
    [(TooLongError, {}), (UnknownPromptError, {"input_type": "passage", "truncate": True})],
)
def test_what_cannot_be_read_lets_nothing_be_computed(
    model: Path, error: type[InputError], options: dict[str, Any]
) -> None:
    backend = scripted()
    with serving(model, backend) as served, pytest.raises(error) as refusal:
        ask(served, "alpha " * 100, **options)
    assert refusal.value.index == 0
    assert backend.given == []


def many(work: Callable[[], Sequence[Coroutine[Any, Any, T]]]) -> list[T | BaseException]:
    """Return what becomes of requests that are made at once."""

    async def run() -> list[T | BaseException]:
        return await asyncio.gather(*work(), return_exceptions=True)

    return asyncio.run(run())


def test_an_input_that_is_refused_is_named_by_its_place_in_its_own_request(model: Path) -> None:
    """All of them are computed in one batch."""
    backend = scripted()
    questions = [("alpha", "refuse"), ("beta",), ("a", "b", "refuse", "c", "refuse")]
    with serving(model, backend) as served:
        (blocker,) = served.current.submit(reads("wait"))
        assert backend.begun.acquire(timeout=SECONDS)
        threading.Timer(0.1, backend.gate.set).start()
        first, second, third = many(
            lambda: [answer(served, Question(inputs=inputs)) for inputs in questions]
        )
        blocker.result(SECONDS)
    assert isinstance(first, InputError)
    assert first.index == 1
    assert isinstance(second, Answered)
    np.testing.assert_array_equal(second.vectors[0], vector_of("beta"))
    assert isinstance(third, InputError)
    assert third.index == 2


def test_when_one_input_is_refused_the_rest_of_its_request_is_dropped(model: Path) -> None:
    backend = scripted(batching="none")
    with serving(model, backend) as served:
        (blocker,) = served.current.submit(reads("wait"))
        assert backend.begun.acquire(timeout=SECONDS)

        async def run() -> None:
            asked = asyncio.create_task(answer(served, Question(inputs=["refuse", *["a"] * 500])))
            await asyncio.sleep(0)
            assert served.current.waiting == 501
            backend.gate.set()
            with pytest.raises(InputError):
                await asked

        asyncio.run(run())
        blocker.result(SECONDS)
    assert len(backend.given) < 400


def test_a_failure_of_the_backend_is_the_requests(model: Path) -> None:
    with serving(model) as served, pytest.raises(EmbeddingError, match="it failed"):
        ask(served, "alpha", "fail")


def test_a_full_queue_is_the_requests(model: Path) -> None:
    backend = scripted()
    with serving(model, backend, queue=1) as served:
        served.current.submit(reads("wait"))
        assert backend.begun.acquire(timeout=SECONDS)
        served.current.submit(reads("alpha"))
        with pytest.raises(QueueFullError):
            ask(served, "beta")


def test_what_a_request_asked_for_is_dropped_with_it(model: Path) -> None:
    backend = scripted()
    with serving(model, backend) as served:
        (blocker,) = served.current.submit(reads("wait"))
        assert backend.begun.acquire(timeout=SECONDS)

        async def run() -> None:
            task = asyncio.create_task(answer(served, Question(inputs=["alpha", "beta"])))
            await asyncio.sleep(0)
            assert served.current.waiting == 2
            task.cancel()
            with pytest.raises((asyncio.CancelledError, NotReadyError)):
                await task

        asyncio.run(run())
        backend.gate.set()
        blocker.result(SECONDS)
        ask(served, "gamma")
    assert backend.given == [["wait"], ["gamma"]]


@pytest.mark.parametrize(
    ("inputs", "is_inline"),
    [
        (["a" * answering.INLINE], True),
        (["a" * (answering.INLINE // 2), "a" * (answering.INLINE // 2 + 1)], False),
        ([TokenIds(ids=[4] * (answering.INLINE + 1))], False),
        ([Image(content=bytes(answering.INLINE + 1))], True),
    ],
)
def test_long_texts_are_read_beside_the_event_loop(
    model: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[Asked], *, is_inline: bool
) -> None:
    threads: list[str] = []
    own = Reader.read

    def noting(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread().name)
        return own(*arguments, **options)

    with serving(model, recipe={"inputs": ["text", "image"]}) as served:
        monkeypatch.setattr(Reader, "read", noting)
        ask(served, *inputs, truncate=True)
    assert {thread == "MainThread" for thread in threads} == {is_inline}
