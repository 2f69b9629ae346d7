"""The load generator, as measurements use it: what is asked of a server, and what came back."""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from builders import process
from builders.bench.serve.running import Server
from builders.errors import BenchError
from builders.process import Conversation

PROGRAM = Path(__file__).with_name("load.py")
ORDER_SECONDS = 1800.0


class Answers(BaseModel):
    """What the clients of one stream were answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latencies: tuple[float, ...]
    wrong: int
    refused: int
    lost: int

    @property
    def typical(self) -> float:
        """The median latency in milliseconds."""
        return statistics.median(self.latencies) * 1e3

    @property
    def slow(self) -> float:
        """The latency in milliseconds that one answer of a hundred exceeds."""
        return sorted(self.latencies)[int(0.99 * (len(self.latencies) - 1))] * 1e3


class Asked(BaseModel):
    """What an order gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float
    streams: tuple[Answers, ...]

    @property
    def answers(self) -> int:
        """How many answers there were, of all streams."""
        return sum(len(stream.latencies) for stream in self.streams)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


@dataclass(frozen=True, kw_only=True)
class Part:
    """Clients that ask the same texts.

    Attributes:
        texts: The name of a list of texts.
        clients: How many ask at a time.
        answers: How many answers they want together; None: as long as others ask.
    """

    texts: str
    clients: int
    answers: int | None


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Clients of a server."""

    server: Server
    program: Conversation

    def ask(self, *parts: Part) -> Asked:
        """Let clients ask until they have their answers.

        Raises:
            BenchError: A request was lost, refused, or answered with a wrong vector.
        """
        asked = self.tried(*parts)
        for name in ("lost", "refused", "wrong"):
            if count := sum(getattr(stream, name) for stream in asked.streams):
                raise BenchError(f"{count} answers {name}", where=self.server.name)
        return asked

    def tried(self, *parts: Part, signal: Mapping[str, int] | None = None) -> Asked:
        """Let clients ask; what is lost, refused or wrong is counted.

        Args:
            parts: The clients.
            signal: A `process` to end after so many `answers`.
        """
        streams = [
            {"requests": part.texts, "clients": part.clients, "answers": part.answers}
            for part in parts
        ]
        order = {"streams": streams, **({"signal": signal} if signal else {})}
        return Asked.model_validate_json(self.program.ask(json.dumps(order), timeout=ORDER_SECONDS))


@contextlib.contextmanager
def asking(
    server: Server,
    texts: Mapping[str, Sequence[str]],
    scratch: Path,
    *,
    expected: Mapping[str, Path] | None = None,
) -> Iterator[Asking]:
    """Give clients of a server.

    Args:
        server: Which runs.
        texts: What they ask, by names.
        scratch: A directory for what they are told.
        expected: The file of the vectors of a list of texts, by its name: answers are checked.
    """
    requests = {
        name: {
            "path": server.path,
            "bodies": [server.body(text) for text in listed],
            "expected": str((expected or {}).get(name, "")),
        }
        for name, listed in texts.items()
    }
    plan = scratch / f"plan-{server.port}.json"
    plan.write_text(json.dumps({"port": server.port, "requests": requests}), encoding="utf-8")
    with process.conversation((sys.executable, PROGRAM, plan)) as program:
        yield Asking(server=server, program=program)
