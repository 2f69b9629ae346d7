"""The order of things in a reload: what waits for what, and how many models there are at a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from embedding_service import recipe as recipes
from embedding_service.answering import Question, answer
from embedding_service.configuration import Configuration
from embedding_service.embedder import Embedder
from embedding_service.errors import ModelError, NotReadyError
from embedding_service.reloading import Reloader
from embedding_service.serving import Serving
from embedding_service.settings import Settings
from tests.unit.service.scripted_backend import SECONDS, Scripted
from tests.unit.service.tiny_model import write_model


class Counted(Scripted):
    """Counts the models that there are."""

    lock = threading.Lock()
    alive = 0
    most = 0

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Counted:
        with cls.lock:
            Counted.alive += 1
            Counted.most = max(Counted.most, Counted.alive)
        return super().load(model_dir, settings)

    def close(self) -> None:
        super().close()
        with self.lock:
            Counted.alive -= 1


@pytest.fixture(autouse=True)
def counts() -> None:
    Counted.alive = Counted.most = 0
    Counted.gate.clear()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


class Bench:
    """A reloader in an event loop, and what it serves."""

    def __init__(self, model: Path) -> None:
        variables = {"EMBEDDING_MODEL_DIR": str(model), "EMBEDDING_THREADS": "1"}
        configuration = Configuration(variables)
        self.outcomes: list[str] = []
        self.serving = Serving(new(configuration.proposed({}).settings))
        self.reloader = Reloader(self.serving, new, configuration, on_reload=self.outcomes.append)

    def ask(self, text: str) -> asyncio.Task[Any]:
        return asyncio.create_task(answer(self.serving, Question(inputs=[text])))


def new(settings: Settings) -> Embedder:
    return Embedder(backend=Counted, recipe=recipes.read(settings.model_dir), settings=settings)


@contextlib.asynccontextmanager
async def ready(model: Path) -> AsyncIterator[Bench]:
    bench = Bench(model)
    bench.serving.current.start(on_failure=lambda: None)
    assert bench.serving.current.settled(SECONDS)
    try:
        yield bench
    finally:
        Counted.gate.set()
        bench.serving.current.stop(timeout=SECONDS)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), SECONDS))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 -- a thread makes it so
        await asyncio.sleep(0.01)


def test_reloads_at_the_same_time_happen_one_after_another(model: Path) -> None:
    async def test() -> None:
        async with ready(model) as bench:
            reloads = [bench.reloader.reload({"threads": number + 1}) for number in range(4)]
            await asyncio.gather(*reloads)
            assert bench.outcomes == ["succeeded"] * 4
            assert bench.serving.current.settings.threads == 4
            await until(lambda: Counted.alive == 1)
            assert Counted.most == 2

    run(test)


def test_the_next_reload_waits_until_the_former_model_is_not_used(model: Path) -> None:
    async def test() -> None:
        async with ready(model) as bench:
            first = bench.serving.current
            slow = bench.ask("wait")
            await asyncio.to_thread(Counted.begun.acquire)
            await bench.reloader.reload({})
            second = bench.serving.current
            assert second is not first
            # It answers, while the former one still computes.
            assert (await bench.ask("alpha")).dimension == 6
            next_reload = asyncio.create_task(bench.reloader.reload({}))
            await asyncio.sleep(0.2)
            assert bench.serving.current is second
            assert Counted.alive == 2
            Counted.gate.set()
            assert (await slow).dimension == 6
            await next_reload
            assert bench.serving.current is not second
            assert Counted.most == 2

    run(test)


def test_a_request_that_is_still_read_keeps_its_model(model: Path) -> None:
    """It has not submitted anything yet: the queue alone would not know of it."""

    async def test() -> None:
        async with ready(model) as bench:
            with bench.serving.using() as embedder:
                await bench.reloader.reload({})
                await asyncio.sleep(0.1)
                reader = embedder.reader
                (future,) = embedder.submit([reader.read("alpha", index=0)])
                await asyncio.wrap_future(future)
            await until(lambda: Counted.alive == 1)

    run(test)


def test_a_request_that_fails_does_not_keep_its_model(model: Path) -> None:
    async def test() -> None:
        async with ready(model) as bench:
            asked = [bench.ask("fail"), bench.ask("alpha " * 99)]
            await asyncio.gather(*asked, return_exceptions=True)
            gone = bench.ask("wait")
            await asyncio.to_thread(Counted.begun.acquire)
            gone.cancel()
            await bench.reloader.reload({})
            Counted.gate.set()
            await until(lambda: Counted.alive == 1)

    run(test)


def test_a_reload_that_fails_is_told_and_the_next_one_is_not_harmed(model: Path) -> None:
    async def test() -> None:
        async with ready(model) as bench:
            first = bench.serving.current
            recipe = (model / "model.json").read_bytes()
            (model / "model.json").write_bytes(b"{}")
            with pytest.raises(ModelError):
                await bench.reloader.reload({})
            assert bench.serving.current is first
            (model / "model.json").write_bytes(recipe)
            await bench.reloader.reload({})
            assert bench.outcomes == ["failed", "succeeded"]
            assert bench.serving.current is not first

    run(test)


def test_what_is_not_there_yet_is_not_replaced(model: Path) -> None:
    async def test() -> None:
        bench = Bench(model)
        with pytest.raises(NotReadyError, match="still loading"):
            await bench.reloader.reload({})
        assert Counted.most == 0

    run(test)


def test_a_reload_goes_on_where_nobody_waits_for_it(model: Path) -> None:
    async def test() -> None:
        async with ready(model) as bench:
            first = bench.serving.current
            reload = asyncio.create_task(bench.reloader.reload({}))
            await asyncio.sleep(0)
            reload.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reload
            await until(lambda: bench.serving.current is not first)

    run(test)
