"""The corpus: texts and images to embed for a comparison, one JSON object a line."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path

from embedding_service.errors import SettingsError
from embedding_service.inputs import Image, Input


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One input of the corpus, with its unique id."""

    id: str
    input: Input


def read_corpus(path: Path) -> tuple[Entry, ...]:
    """Read a file of JSON lines with the keys `id` and `text`, or `id` and `image` (in base64).

    Further keys are others' business.

    Raises:
        SettingsError: The file cannot be read, a line is malformed, an id occurs twice, or there
            is nothing in it.
    """
    try:
        # Only a line feed ends a line: JSON strings may hold what else Unicode counts as one.
        with path.open(encoding="utf-8", newline="\n") as file:
            lines = list(file)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"corpus {path} cannot be read: {error}") from error
    entries: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is None:
            raise SettingsError(
                f"{path}:{number}: not an object with strings id and text, or id and image"
            )
        if entry.id in entries:
            raise SettingsError(f"{path}:{number}: the id {entry.id!r} occurs twice")
        entries[entry.id] = entry
    if not entries:
        raise SettingsError(f"corpus {path} holds nothing")
    return tuple(entries.values())


def _entry(line: str) -> Entry | None:
    try:
        match json.loads(line):
            case {"id": str(), "text": _, "image": _}:
                return None
            case {"id": str(key), "text": str(text)}:
                return Entry(id=key, input=text)
            case {"id": str(key), "image": str(image)}:
                content = base64.b64decode(image, validate=True)
                return Entry(id=key, input=Image(content=content))
            case _:
                return None
    except (binascii.Error, ValueError):
        return None
