"""From tokens to a vector, in numpy: filling up a batch, the mean of the tokens, unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embedding_service.contract import Vectors
from embedding_service.inputs import Text


def padded(texts: Sequence[Text], *, padding: int = 0) -> dict[str, NDArray[np.int64]]:
    """Return a text encoder's inputs by name, each of shape (texts, longest text).

    Args:
        texts: With their tokens.
        padding: The token that fills up: attention and pooling leave it out, but some encoders
            count positions by it. 0 is a token of every vocabulary.
    """
    shape = (len(texts), max(len(text.ids) for text in texts))
    ids = np.full(shape, padding, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids)] = text.ids
        mask[row, : len(text.ids)] = 1
    # A text by itself has one type of tokens.
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def mean_pooled(hidden: NDArray[np.float32], attention_mask: NDArray[np.int64]) -> Vectors:
    """Return the mean of each text's tokens; padding does not count.

    Args:
        hidden: Of shape (texts, tokens, dimension).
        attention_mask: Of shape (texts, tokens), 1 for a token and 0 for padding.
    """
    mask = attention_mask.astype(np.float32)
    total: Vectors = np.einsum("ts,tsd->td", mask, hidden)
    mean: Vectors = total / mask.sum(axis=1, keepdims=True)
    return mean


def normalised(vectors: Vectors) -> Vectors:
    """Return vectors of Euclidean length 1."""
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
