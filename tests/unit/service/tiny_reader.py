"""Readers of tiny models, and what they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embedding_service import recipe as recipes
from embedding_service import tokens
from embedding_service.inputs import Text
from embedding_service.reading import Read, Reader
from tests.unit.service.tiny_model import VOCABULARY, write_recipe

PROMPTS = {"query": "query: ", "document": "", "question": "query: beta "}


def reader(directory: Path, **recipe: Any) -> Reader:
    write_recipe(directory, **{"prompts": PROMPTS, **recipe})
    return Reader(recipes.read(directory), tokens.tokenizer(directory))


def uncounted(directory: Path, **recipe: Any) -> Reader:
    """Return the reader for a backend that takes texts as they are."""
    write_recipe(directory, **{"prompts": PROMPTS, **recipe})
    return Reader(recipes.read(directory), None)


def ids(*words: str) -> list[int]:
    return [VOCABULARY.index(word) for word in words]


def whole(*words: str) -> list[int]:
    return ids("[CLS]", *words, "[SEP]")


def content(read: Read) -> str:
    assert isinstance(read.given, Text)
    return read.given.content


def found(read: Read) -> list[int]:
    assert isinstance(read.given, Text)
    assert read.tokens == len(read.given.ids)
    return list(read.given.ids)
