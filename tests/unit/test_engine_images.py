"""Loading an image that the engine does not take, or takes as another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker.errors import ImageNotFound

from builders.engine import images
from builders.errors import EngineError
from builders.formats import layout
from builders.formats.layout import Layout
from tests.unit.images import Image, file, tar


class WithoutIt:
    """An engine that answers a load with these messages, and has no image afterwards.

    It stands for one without the containerd image store, which no test has.
    """

    def __init__(self, *messages: dict[str, str]) -> None:
        self.images = self
        self.api = self
        self.messages = messages
        self.received = 0

    def get(self, name: str) -> None:
        raise ImageNotFound(name)

    def load_image(self, content: Any) -> tuple[dict[str, str], ...]:
        self.received = sum(len(chunk) for chunk in content)
        return self.messages


@pytest.fixture
def image(tmp_path: Path) -> Layout:
    return layout.read(Image(layers=[tar([file("a", b"x")])]).write(tmp_path / "layout"))


def load(engine: Any, image: Layout) -> str:
    return images.load(engine, image)


def test_an_engine_that_says_what_is_wrong(image: Layout) -> None:
    engine = WithoutIt({"stream": "Loading"}, {"error": "no space left on device"})
    with pytest.raises(EngineError, match="cannot load the image: no space left") as caught:
        load(engine, image)
    assert caught.value.where == image.manifest_digest


def test_an_engine_that_keeps_another_digest(image: Layout) -> None:
    engine = WithoutIt({"stream": "Loaded image"})
    with pytest.raises(EngineError, match=r"holds no image of the digest .*\n.*containerd image"):
        load(engine, image)
    assert engine.received > image.compressed_size
