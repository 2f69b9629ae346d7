"""What a backend makes vectors of: texts, and images as the bytes of their files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as it was uploaded: a PNG, JPEG, WebP or GIF file, not decoded yet.

    Attributes:
        content: The file's bytes.
    """

    content: bytes


Input = str | Image


def kind(given: Input) -> Literal["text", "image"]:
    """Return what an input is, as a recipe's `inputs` names it."""
    return "image" if isinstance(given, Image) else "text"
