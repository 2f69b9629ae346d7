"""A claim: one figure, what it has to be, and how it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One figure, and what it has to be.

    Attributes:
        name: Unique within its measurement.
        text: What it is, for people.
        unit: Such as `s`; empty for a ratio.
        better: Which way is better.
        limit: What it must reach; None if only the target counts.
        target: What it should reach; None for a figure that only explains another.
    """

    name: str
    text: str
    unit: str
    better: Literal["lower", "higher"] = "lower"
    limit: float | None = None
    target: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Figures that are measured together.

    Attributes:
        name: What `--only` takes.
        title: A heading.
        method: How it is measured, and what speaks for or against the figures.
        claims: The figures, in the page's order.
    """

    name: str
    title: str
    method: str
    claims: tuple[Claim, ...]

    def claim(self, name: str) -> Claim:
        """Return a claim by its name."""
        return next(claim for claim in self.claims if claim.name == name)
