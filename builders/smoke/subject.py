"""What is proven by a smoke session, and how much time it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.corpus import Corpus
from builders.smoke.cell import SmokeCell

EMULATION: Mapping[str, Mapping[str, str]] = {"linux/arm64": {"QEMU_CPU": "neoverse-n1"}}
"""What an emulated container's processor is, by its platform.

qemu's default offers SVE and SME, and libraries choose kernels by what is offered; qemu emulates
these slowly. From the start of Python to the vector of a text of 20 tokens (onnxruntime 1.31,
fixture-768, one thread): 19 s by default, 7.4 s without SME, 4.8 s without both, and 4.4 s as
neoverse-n1, a processor that servers have.
"""

THREADS: Mapping[str, str] = {"EMBEDDING_THREADS": "1"}
"""Cells are tested while others are built, and threads that wait for each other by spinning, as
llama.cpp's do, are many times slower on busy processors. One thread gives the same vectors."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Time limits in seconds, and the size of a batch.

    Attributes:
        ready: From the start to the loaded model.
        suite: All tests together.
        vectors: The corpus, once.
        stop: From SIGTERM to the end.
        batch_size: How many texts are embedded at a time, to see whether it matters.
    """

    ready: int
    suite: int
    vectors: int
    stop: int
    batch_size: int


NATIVE = Patience(ready=180, suite=900, vectors=600, stop=15, batch_size=32)
EMULATED = Patience(ready=600, suite=1800, vectors=1200, stop=60, batch_size=8)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is proven.

    Attributes:
        digest: The image's manifest digest; the engine holds it already.
        cell: What the container must be.
        corpus: What to embed: all of it natively, the emulated subset under emulation.
        shell: A static busybox of the image's platform.
        records: A directory for the facts, the results and the logs; they are kept.
        patience: The time limits.
        upstream: The manifest digest of the image, of the same platform, that answers in the place
            of an API; None if none is asked. The engine holds it already.
    """

    digest: str
    cell: SmokeCell
    corpus: Corpus
    shell: Path
    records: Path
    patience: Patience
    upstream: str | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that every container of the session has."""
        emulation = EMULATION.get(self.cell.platform, {}) if self.cell.emulated else {}
        return {**THREADS, **emulation}
