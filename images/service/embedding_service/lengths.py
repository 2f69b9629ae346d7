"""Lengths: how many tokens an input counts for in a batch."""

from __future__ import annotations

import math

from embedding_service.contract import Capabilities
from embedding_service.inputs import Image
from embedding_service.reading import Read

IMAGE_LENGTH = 256
"""Of an image: so many patches has one of 224 x 224 or more."""

CHARACTERS_PER_TOKEN = 4
"""Where nobody here knows the tokens."""


def length(read: Read, capabilities: Capabilities | None) -> int:
    """Return how many tokens an input counts for.

    Args:
        read: The input.
        capabilities: Of the backend that computes it.
    """
    if isinstance(read.given, Image):
        return IMAGE_LENGTH
    if capabilities and capabilities.batching == "fixed":
        return capabilities.max_tokens
    return read.tokens or math.ceil(len(read.given.content) / CHARACTERS_PER_TOKEN)
