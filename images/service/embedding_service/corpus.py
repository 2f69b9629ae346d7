"""The corpus: texts to embed for a comparison, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from embedding_service.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text of the corpus, with its unique id."""

    id: str
    text: str


def read_corpus(path: Path) -> tuple[Text, ...]:
    """Read a file of JSON lines with the keys `id` and `text`; further keys are others' business.

    Raises:
        SettingsError: The file cannot be read, a line is malformed, an id occurs twice, or there
            is no text.
    """
    try:
        # Only a line feed ends a line: JSON strings may hold what else Unicode counts as one.
        with path.open(encoding="utf-8", newline="\n") as file:
            lines = list(file)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"corpus {path} cannot be read: {error}") from error
    texts: dict[str, Text] = {}
    for number, line in enumerate(lines, start=1):
        match _parsed(line):
            case {"id": str(key), "text": str(text)}:
                if key in texts:
                    raise SettingsError(f"{path}:{number}: the id {key!r} occurs twice")
                texts[key] = Text(id=key, text=text)
            case _:
                raise SettingsError(f"{path}:{number}: not an object with strings id and text")
    if not texts:
        raise SettingsError(f"corpus {path} holds no text")
    return tuple(texts.values())


def _parsed(line: str) -> object:
    try:
        parsed: object = json.loads(line)
    except ValueError:
        return None
    return parsed
