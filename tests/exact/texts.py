"""Exact vectors of texts, from a sentence-transformers directory and the definition."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from builders.matrix import Model
from tests.unit.exact import ExactEncoder


def vectors(directory: Path, model: Model, texts: Iterable[str]) -> list[NDArray[np.float64]]:
    """Return the vectors of texts as the model's recipe serves them."""
    encoder = ExactEncoder(directory)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    prefix = model.prompts[model.default_prompt] if model.default_prompt else ""
    found = []
    for text in texts:
        states = encoder.hidden(tokenizer.encode(prefix + text).ids)
        pooled = states[0] if model.pooling == "cls" else states.mean(axis=0)
        found.append(pooled / np.linalg.norm(pooled) if model.normalize else pooled)
    return found
