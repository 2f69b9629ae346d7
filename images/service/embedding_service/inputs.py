"""What clients send and what backends take: texts, tokens, and images as their files' bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image as it was uploaded: a PNG, JPEG, WebP or GIF file, not decoded yet.

    Attributes:
        content: The file's bytes.
    """

    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenIds:
    """A text that a client has tokenised by the model's own tokenizer.

    Attributes:
        ids: The tokens' numbers, with or without the special ones around them.
    """

    ids: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text as a backend takes it, with its prompt.

    Attributes:
        content: The characters, also those that were cut; of a text that came as tokens, what
            these stand for.
        ids: The tokens' numbers, the special ones included, cut if need be; empty where the
            backend's tokens are not known here.
    """

    content: str
    ids: Sequence[int]


Input = str | Image
"""An entry of a corpus, and what `POST /embed` takes."""

Asked = Input | TokenIds
"""What any route takes."""

Given = Text | Image
"""What a backend takes."""


def kind(given: Asked | Given) -> Literal["text", "image"]:
    """Return what an input is, as a recipe's `inputs` names it."""
    return "image" if isinstance(given, Image) else "text"
