"""Exact vectors of texts, from a sentence-transformers directory and the definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from builders.corpus import Corpus
from builders.matrix import Model
from tests.exact.encoder import ExactEncoder, Vector


def vectors(directory: Path, model: Model, corpus: Corpus) -> list[Vector]:
    """Return the vectors of texts as the model's recipe serves them."""
    encoder = ExactEncoder(directory)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    prefix = model.prompts[model.default_prompt] if model.default_prompt else ""
    found = []
    for text in corpus.texts:
        states = encoder.hidden(tokenizer.encode(prefix + text.text).ids)
        pooled = states[0] if model.pooling == "cls" else states.mean(axis=0)
        found.append(pooled / np.linalg.norm(pooled) if model.normalize else pooled)
    return found
