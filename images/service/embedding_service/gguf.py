"""The GGUF format: what a file says of its model, and whether a recipe agrees.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedding_service.errors import ModelError
from embedding_service.recipe import Recipe
from embedding_service.tokens import TOKENIZER_FILE

MODEL_FILE = "model.gguf"
POOLINGS = ("none", "mean", "cls", "last", "rank")
"""`enum llama_pooling_type`, from 0."""

DENSE_LAYERS = ("dense_2.weight", "dense_3.weight")
"""The linear layers after the pooling: llama.cpp applies those that the file has."""

_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_TEXT, _LIST = 8, 9
"""Types of values (`enum gguf_type`); the numbers' as `struct` names them."""

UNUSED = 5
"""The type of a token that only fills the table (`enum llama_token_type`)."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a GGUF file says of its model.

    Attributes:
        keys: The values by their names, lists left out.
        rows: The length of the vocabulary.
        unused_rows: How many of them only fill it.
        tensors: Their names.
    """

    keys: Mapping[str, object]
    rows: int
    unused_rows: int
    tensors: frozenset[str]

    def number(self, name: str) -> int | None:
        """Return a whole number that is named below the architecture; None if there is none."""
        value = self.keys.get(f"{self.keys.get('general.architecture')}.{name}")
        return value if isinstance(value, int) else None


def read_header(path: Path) -> Header:
    """Read what a GGUF file says before its tensors' numbers.

    Raises:
        ModelError: It is missing or not such a file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as rows:
            return _Cursor(rows).header()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, struct.error) as error:
        raise ModelError(f"{path} is not a GGUF file: {error}") from error


def check_recipe(header: Header, recipe: Recipe) -> None:
    """Check that a file's vectors are those that the recipe describes.

    Raises:
        ModelError: They are not.
    """
    pooling = header.number("pooling_type")
    if not pooling:
        raise ModelError(
            f"{MODEL_FILE} does not say how its tokens are pooled (pooling_type): "
            "what llama.cpp would return is no vector of a text; convert the model again"
        )
    named = POOLINGS[pooling] if pooling < len(POOLINGS) else str(pooling)
    if named != recipe.pooling:
        raise ModelError(f"{MODEL_FILE} pools by {named}; the recipe says {recipe.pooling}")
    length = header.number("embedding_length_out") or header.number("embedding_length")
    if length != recipe.dimension:
        raise ModelError(
            f"{MODEL_FILE} makes vectors of {length} numbers; the recipe says {recipe.dimension}"
        )
    context = header.number("context_length") or 0
    if recipe.max_tokens > context:
        raise ModelError(
            f"{MODEL_FILE} takes {context} tokens; the recipe says {recipe.max_tokens}"
        )
    _check_dense_layers(header, recipe)


def check_vocabulary(header: Header, *, own: int, known: int) -> None:
    """Check that `tokenizer.json` and the file can have the same tokens.

    Args:
        header: The file's; rows at its end may be unused, to fill the table.
        own: The number of the tokenizer's tokens, without those added to it later (a model that
            never saw images has no row for an image's token).
        known: The same, with those.

    Raises:
        ModelError: One has tokens that the other lacks.
    """
    used = header.rows - header.unused_rows
    if own > header.rows or known < used:
        raise ModelError(
            f"{TOKENIZER_FILE} has {known} tokens and {MODEL_FILE} {used}: "
            "they are not of one model"
        )


def _check_dense_layers(header: Header, recipe: Recipe) -> None:
    """A file with some of the layers is not right for anyone."""
    found = [name for name in DENSE_LAYERS if name in header.tensors]
    expected = list(DENSE_LAYERS) if recipe.dense_layers else []
    if found == expected:
        return
    if recipe.dense_layers:
        missing = ", ".join(name for name in DENSE_LAYERS if name not in found)
        raise ModelError(
            f"{MODEL_FILE} lacks {missing}, so its vectors are of another space than those of the "
            "model that the recipe claims; give it a name and a space of its own, without "
            "dense_layers, or convert the model with --sentence-transformers-dense-modules"
        )
    raise ModelError(
        f"{MODEL_FILE} has {', '.join(found)}, which llama.cpp applies; the recipe does not say "
        "dense_layers"
    )


@dataclass(frozen=True, kw_only=True)
class _List:
    """A list in a header; of texts, only how many they are."""

    length: int
    numbers: tuple[int, ...] = ()


class _Cursor:
    """Reads a GGUF header from its beginning."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 0

    def header(self) -> Header:
        magic, version, tensors, count = self._take("4sIQQ")
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError("it does not begin as version 2 or 3 does")
        keys = {self._text(): self._value(*self._take("I")) for _ in range(count)}
        names = frozenset(self._tensor() for _ in range(tensors))
        rows, types = (_list(keys, f"tokenizer.ggml.{name}") for name in ("tokens", "token_type"))
        return Header(
            keys={name: value for name, value in keys.items() if not isinstance(value, _List)},
            rows=rows.length,
            unused_rows=types.numbers.count(UNUSED),
            tensors=names,
        )

    def _tensor(self) -> str:
        name = self._text()
        (dimensions,) = self._take("I")
        self._take(f"{dimensions}QIQ")  # its shape, how it is stored, and where
        return name

    def _value(self, kind: int) -> object:
        if kind == _TEXT:
            return self._text()
        if kind != _LIST:
            return self._take(_number_format(kind))[0]
        item, length = self._take("IQ")
        if item != _TEXT:
            return _List(length=length, numbers=self._take(f"{length}{_number_format(item)}"))
        for _ in range(length):
            self._skip(*self._take("Q"))
        return _List(length=length)

    def _text(self) -> str:
        (length,) = self._take("Q")
        begin = self._at
        self._skip(length)
        return self._content[begin : self._at].decode()

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self._content, self._at)
        self._skip(struct.calcsize(f"<{layout}"))
        return values

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > len(self._content):
            raise ValueError("it ends too early")


def _number_format(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ValueError(f"there is no type {kind}")
    return _NUMBERS[kind]


def _list(keys: Mapping[str, object], name: str) -> _List:
    value = keys.get(name)
    return value if isinstance(value, _List) else _List(length=0)
