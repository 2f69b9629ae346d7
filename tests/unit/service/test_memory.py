from __future__ import annotations

import gc
import weakref

from embedding_service import memory
from embedding_service.errors import ModelError


class Model:
    """What takes memory."""


def test_an_error_lets_go_of_what_failed() -> None:
    kept: list[weakref.ref[Model]] = []

    def load() -> None:
        model = Model()
        kept.append(weakref.ref(model))
        raise ValueError("no")

    def fail() -> None:
        model = Model()
        kept.append(weakref.ref(model))
        try:
            load()
        except ValueError as error:
            raise ModelError("no") from error

    failure: ModelError | None = None
    try:
        fail()
    except ModelError as error:
        failure = error
    assert failure is not None
    assert [reference() is None for reference in kept] == [False, False]
    memory.forget(failure)
    assert [reference() is None for reference in kept] == [True, True]
    assert str(failure) == "no"


def test_what_only_a_cycle_holds_is_freed() -> None:
    model = Model()
    model.itself = model  # type: ignore[attr-defined]
    reference = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert reference() is not None
        memory.free()
        assert reference() is None
    finally:
        gc.enable()
