"""Answers: what was asked of a published image, and what came out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """What came of a question."""

    TRUE = "true"
    UNSIGNED = "unsigned"
    """It agrees with everything else, and nobody who is trusted says so."""
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one question about a manifest or an index.

    Attributes:
        what: The question: `content`, `signature`, or a kind of attestation.
        result: What came of it.
        text: That in words, with figures.
        details: What is wrong, each a line.
    """

    what: str
    result: Result
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A manifest or an index that was looked at.

    Attributes:
        title: `index`, or the platform that the manifest is for.
        digest: `sha256:…` of its bytes.
        answers: To all that was asked of it.
    """

    title: str
    digest: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that was asked of what a reference leads to.

    Attributes:
        reference: Where it is, with its digest.
        image: `<prefix>/<backend>-<model>`, as its verdicts say; as it was published, if there are
            none.
        trusted: Who is, in words; empty if nobody.
        examined: The index first, if there is one.
    """

    reference: str
    image: str
    trusted: tuple[str, ...]
    examined: tuple[Examined, ...]

    @property
    def wrong(self) -> bool:
        """Whether anything is not what is said of it."""
        return any(answer.result is Result.WRONG for answer in self._answers())

    @property
    def unsigned(self) -> bool:
        """Whether anything is said by nobody who is trusted."""
        return any(answer.result is Result.UNSIGNED for answer in self._answers())

    def _answers(self) -> Iterator[Answer]:
        return (answer for each in self.examined for answer in each.answers)
