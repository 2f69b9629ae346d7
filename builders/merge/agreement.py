"""Whether a verdict may be merged: it must be of this very checkout, whoever made it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builders.verdict import Verdict

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a cell's verdict has to say, as the checkout has it.

    Attributes:
        cell: The cell's id.
        image: `<prefix>/<backend>-<model>`.
        platform: The cell's.
        suite: `sha256:…` of all that judges.
        corpus: `sha256:…` of what is embedded.
        vector_space: The model's.
        precision: Of its weights.
        dimension: Of its vectors.
        model: `sha256:…` of the model's recipe, which names every file.
        wheel_lock: `sha256:…` of the committed lock.
        debian_lock: Likewise.
        epoch: In seconds since 1970.
        files: The sha256 of each file that the image is made from, by its path in the checkout.
    """

    cell: str
    image: str
    platform: str
    suite: str
    corpus: str
    vector_space: str
    precision: str
    dimension: int
    model: str
    wheel_lock: str
    debian_lock: str
    epoch: int
    files: Mapping[str, str]


def refusals(verdict: Verdict, wanted: Wanted) -> tuple[str, ...]:
    """Return why a verdict may not be merged, a line for each reason; none if it may."""
    return tuple(_refusals(verdict, wanted))


def _refusals(verdict: Verdict, wanted: Wanted) -> Iterator[str]:
    said, inputs = verdict.subject, verdict.inputs
    for name, found, expected in (
        ("cell", verdict.cell, wanted.cell),
        ("image", said.name, wanted.image),
        ("platform", said.platform, wanted.platform),
        ("vector space", verdict.vector_space, wanted.vector_space),
        ("precision", verdict.precision, wanted.precision),
        ("dimension", verdict.dimension, wanted.dimension),
        ("model", inputs.model, wanted.model),
        ("lock of the wheels", inputs.wheel_lock, wanted.wheel_lock),
        ("epoch", inputs.epoch, wanted.epoch),
        ("corpus", inputs.corpus, wanted.corpus),
    ):
        if found != expected:
            yield f"{name}: {found}, and {expected} in this checkout"
    if inputs.suite != wanted.suite:
        yield f"judged by other tests: suite {inputs.suite}, and {wanted.suite} in this checkout"
    if inputs.debian_lock != wanted.debian_lock and not inputs.drift:
        yield (
            f"lock of the Debian packages: {inputs.debian_lock}, and {wanted.debian_lock} in this"
            " checkout"
        )
    others = sorted(
        path
        for path in inputs.files.keys() | wanted.files.keys()
        if inputs.files.get(path) != wanted.files.get(path)
    )
    if others:
        more = "" if len(others) <= _SHOWN else f" and {len(others) - _SHOWN} more"
        yield f"made from another checkout: {', '.join(others[:_SHOWN])}{more} differ"
    if not verdict.passed or verdict.failures:
        names = ", ".join(check.name for check in verdict.failures)
        yield f"it did not pass: {names}"
