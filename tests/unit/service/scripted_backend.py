"""A backend that does what its texts say, for tests that need to know what it is given and when."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from tokenizers import Tokenizer

from embedding_service import recipe as recipes
from embedding_service import self_check, tokens
from embedding_service.contract import Capabilities
from embedding_service.embedder import Embedder, Vector
from embedding_service.errors import EmbeddingError, InputError
from embedding_service.inputs import Given, Text
from embedding_service.observer import Observer
from embedding_service.reading import Read
from embedding_service.settings import Settings
from tests.unit.service.tiny_model import DIMENSION, MAX_TOKENS, Vectors

SECONDS = 30


class Scripted:
    """Waits at `gate` where a text is "wait", refuses "refuse", fails with "fail".

    Attributes:
        given: The contents of each call after the self-check.
        begun: Is released when it waits.
        closed: Is set when it is freed.
    """

    name: ClassVar[str] = "scripted"
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    runtime: Mapping[str, str] = {"kind": "script"}
    batching: ClassVar[Literal["padded", "fixed", "none"]] = "padded"
    concurrent: ClassVar[int] = 1
    counts: ClassVar[bool] = True
    given: ClassVar[list[list[str]]]
    gate: ClassVar[threading.Event]
    begun: ClassVar[threading.Semaphore]
    closed: ClassVar[threading.Event]

    def __init_subclass__(cls) -> None:
        """Give each class its own."""
        cls.given = []
        cls.gate = threading.Event()
        cls.begun = threading.Semaphore(0)
        cls.closed = threading.Event()

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self.tokenizer = tokenizer
        self.capabilities = Capabilities(
            text=True,
            image=True,
            max_tokens=MAX_TOKENS,
            batching=self.batching,
            concurrent=self.concurrent,
        )

    @classmethod
    def load(cls, model_dir: Path, _settings: Settings) -> Self:
        return cls(tokens.tokenizer(model_dir) if cls.counts else None)

    def embed(self, inputs: Sequence[Given]) -> Vectors:
        contents = [str(each.content) for each in inputs]
        if contents != [self_check.INPUTS["text"]]:
            self.given.append(contents)
        if "wait" in contents:
            self.begun.release()
            assert self.gate.wait(SECONDS)
        if "refuse" in contents:
            raise InputError("it is refused", index=contents.index("refuse"))
        if "fail" in contents:
            raise EmbeddingError("it failed")
        return np.stack([vector_of(content) for content in contents])

    def close(self) -> None:
        self.closed.set()


def vector_of(content: str) -> Vector:
    """Return what `Scripted` makes of a text: another direction for each."""
    row = np.random.default_rng(zlib.crc32(content.encode())).normal(size=DIMENSION)
    unit: Vector = (row / np.linalg.norm(row)).astype(np.float32)
    return unit


def scripted(**changes: Any) -> type[Scripted]:
    """Return a class of its own, with some of its attributes changed."""
    return type("Changed", (Scripted,), changes)


def read(content: str, *, count: int = 3) -> Read:
    """Return a text that has so many tokens."""
    text = Text(content=content, ids=[2, *[4] * (count - 2), 3])
    return Read(given=text, prompt=None, tokens=count, truncated=False)


def reads(*contents: str) -> list[Read]:
    return [read(content) for content in contents]


@contextlib.contextmanager
def embedding(
    backend: type[Scripted],
    model: Path,
    *,
    observer: Observer | None = None,
    recipe: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Embedder]:
    """Yield an embedder that is ready; at the end, nothing may keep it from stopping."""
    chosen = Settings.from_environment({"EMBEDDING_MODEL_DIR": str(model)})
    embedder = Embedder(
        backend=backend,
        recipe=recipes.read(model).model_copy(update=recipe or {}),
        settings=dataclasses.replace(chosen, **settings),
        observer=observer,
    )
    embedder.start(on_failure=lambda: None)
    assert embedder.settled(SECONDS)
    assert embedder.failure is None
    try:
        yield embedder
    finally:
        backend.gate.set()
        embedder.stop(timeout=SECONDS)
