"""The corpus: the texts whose vectors are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders.errors import ReferenceVectorsError

COMMITTED = Path("tests", "corpus", "corpus.jsonl")
"""Where the corpus is in the checkout."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text of the corpus."""

    id: str
    text: str
    emulated: bool


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Texts in their order, each with an id of its own."""

    texts: tuple[Text, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the texts, in their order."""
        return tuple(text.id for text in self.texts)

    @property
    def digest(self) -> str:
        """The sha256 of what is embedded: ids and texts, whatever else the file says of them."""
        return hashlib.sha256(self.to_jsonl()).hexdigest()

    def emulated(self) -> Corpus:
        """Return the few short texts that an emulated container can embed in good time."""
        return Corpus(texts=tuple(text for text in self.texts if text.emulated))

    def to_jsonl(self) -> bytes:
        r"""Return the JSON Lines that the service's commands read: one `{"id", "text"}` a line."""
        lines = [json.dumps({"id": text.id, "text": text.text}) for text in self.texts]
        return "".join(f"{line}\n" for line in lines).encode("ascii")


def read(path: Path) -> Corpus:
    r"""Read a corpus from JSON Lines: `{"id", "text", "kind", "emulated"?}` a line.

    Raises:
        ReferenceVectorsError: A line is malformed, an id occurs twice, or no text is there at all,
            or none for emulated containers.
    """
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ReferenceVectorsError(
            f"the corpus cannot be read: {error}", where=str(path), remedy="restore the file"
        ) from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    corpus = Corpus(texts=tuple(_text(line, where=f"{path}:{number}") for number, line in numbered))
    _refuse_duplicates(corpus.ids, where=str(path))
    if not corpus.emulated().texts:
        raise ReferenceVectorsError(
            "the corpus has no text for emulated containers",
            where=str(path),
            remedy='mark a few short texts with "emulated": true',
        )
    return corpus


class _Line(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(min_length=1)
    text: str
    kind: str
    emulated: bool = False


def _text(line: str, *, where: str) -> Text:
    try:
        parsed = _Line.model_validate_json(line)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'line'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ReferenceVectorsError(
            f"malformed text of the corpus: {problems}", where=where, remedy="mend the line"
        ) from error
    return Text(id=parsed.id, text=parsed.text, emulated=parsed.emulated)


def _refuse_duplicates(ids: Sequence[str], *, where: str) -> None:
    twice = sorted({identifier for identifier in ids if ids.count(identifier) > 1})
    if twice:
        raise ReferenceVectorsError(
            f"ids of the corpus occur twice: {', '.join(twice)}",
            where=where,
            remedy="give each text an id of its own",
        )
