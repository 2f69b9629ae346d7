"""What a backend makes vectors of: texts, and images as the bytes of their files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as it was uploaded: a PNG, JPEG, WebP or GIF file, not decoded yet.

    Attributes:
        content: The file's bytes.
    """

    content: bytes


Input = str | Image
