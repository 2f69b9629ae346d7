"""The library called directly, as measurements use it."""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from builders import process
from builders.process import Conversation

PROGRAM = Path(__file__).with_name("direct.py")
ORDER_SECONDS = 600.0

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""The batch sizes that are tried."""


class Timed(BaseModel):
    """How long texts took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float
    processor: float
    latencies: tuple[float, ...]

    @property
    def typical(self) -> float:
        """The median time of a batch in milliseconds."""
        return statistics.median(self.latencies) * 1e3

    @property
    def slow(self) -> float:
        """The time in milliseconds that one batch of a hundred exceeds."""
        return sorted(self.latencies)[int(0.99 * (len(self.latencies) - 1))] * 1e3


@dataclass(frozen=True, kw_only=True)
class Library:
    """The library with a model, in a process of its own."""

    program: Conversation

    def embed(self, texts: str, *, count: int, batch: int) -> Timed:
        """Embed so many texts of a list, so many together."""
        answer = self._ask({"texts": texts, "count": count, "batch": batch})
        return Timed.model_validate_json(answer)

    def best_batch(self, texts: str, *, count: int, tries: int) -> int:
        """Return the batch size with which so many texts of a list take the shortest."""
        # One after the other, so that a disturbance hits one try of each.
        tried = [
            (self.embed(texts, count=count, batch=batch).seconds, batch)
            for _ in range(tries)
            for batch in BATCHES
            if batch <= count
        ]
        return min(tried)[1]

    def save(self, texts: str, file: Path) -> None:
        """Write the vectors of a list of texts, each computed alone."""
        self._ask({"texts": texts, "vectors": str(file)})

    def _ask(self, order: Mapping[str, object]) -> str:
        return self.program.ask(json.dumps(order), timeout=ORDER_SECONDS)


@contextlib.contextmanager
def library(
    python: Path, model: Path, texts: Mapping[str, Sequence[str]], scratch: Path
) -> Iterator[Library]:
    """Give the library with a model.

    Args:
        python: Of an environment that holds onnxruntime and tokenizers.
        model: The model's directory.
        texts: What it is asked, by names.
        scratch: A directory for what it is told.
    """
    named = scratch / "texts.json"
    named.write_text(json.dumps({name: list(listed) for name, listed in texts.items()}))
    with process.conversation((python, PROGRAM, model, named)) as program:
        yield Library(program=program)
