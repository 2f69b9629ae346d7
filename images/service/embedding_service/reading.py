"""Reading: from what a client sends to what a backend takes, with prompt and within the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedding_service import tokens
from embedding_service.errors import (
    NoTokensError,
    TokenRangeError,
    TooLongError,
    UncountedError,
    UnknownPromptError,
    UnsupportedInputError,
)
from embedding_service.inputs import Asked, Given, Image, Text, TokenIds, kind
from embedding_service.recipe import Recipe

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHARACTERS = 64
"""So many for each token that the model takes are read of a text that has more, if these alone are
twice too long: all of a text of 13 MB would take seconds and a gigabyte."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """An input as a backend takes it.

    Attributes:
        given: The input.
        prompt: Which of the recipe's prompts is in front of a text, by its key; None: none.
        tokens: How many it has, prompt and special tokens included; 0 where nobody here knows.
        truncated: Whether it was cut.
    """

    given: Given
    prompt: str | None
    tokens: int
    truncated: bool


class Reader:
    """Reads texts by a model's recipe and tokenizer; any thread may use it.

    Args:
        recipe: The model's.
        tokenizer: Makes the tokens; None where the backend takes texts as they are.
    """

    def __init__(self, recipe: Recipe, tokenizer: Tokenizer | None) -> None:
        self._recipe = recipe
        self._tokenizer = tokenizer
        # Longer ones first: of two prompts that begin alike, the whole one is meant.
        named = ((name, prompt) for name, prompt in recipe.prompts.items() if prompt)
        self._prompts = sorted(named, key=lambda item: -len(item[1]))
        self._before: list[int] = []
        self._after: list[int] = []
        self._prompt_ids: Mapping[str, list[int]] = {}
        if tokenizer is not None:
            self._before, self._after = tokens.specials(tokenizer)
            self._prompt_ids = {
                name: tokenizer.encode(prompt, add_special_tokens=False).ids
                for name, prompt in recipe.prompts.items()
            }

    @property
    def counts_tokens(self) -> bool:
        """Whether the tokens of texts are known here."""
        return self._tokenizer is not None

    def read(
        self, asked: Asked, *, index: int, input_type: str | None = None, truncate: bool = False
    ) -> Read:
        """Return an input as the backend takes it.

        Args:
            asked: The input.
            index: Which of the inputs of its request it is, for errors.
            input_type: Which of the recipe's prompts to put before a text; None: the default one.
                A text that begins with one of them keeps that one.
            truncate: Cut a text that is too long, at its end.

        Raises:
            NoTokensError: The tokenizer makes no token of a text.
            TokenRangeError: The vocabulary has no such token.
            TooLongError: A text has more tokens than the recipe allows.
            UncountedError: To cut, or to take tokens, the tokenizer would have to be here.
            UnknownPromptError: The recipe has no prompt of that name.
            UnsupportedInputError: The model takes no input of that kind.
        """
        self._check(asked, input_type, index)
        if isinstance(asked, Image):
            return Read(given=asked, prompt=None, tokens=0, truncated=False)
        name = input_type or self._recipe.default_prompt
        if isinstance(asked, TokenIds):
            return self._tokens(asked.ids, name, index, truncate=truncate)
        return self._text(asked, name, index, truncate=truncate)

    def _check(self, asked: Asked, input_type: str | None, index: int) -> None:
        recipe = self._recipe
        if kind(asked) not in recipe.inputs:
            raise UnsupportedInputError(
                index=index, model=recipe.name, takes=recipe.inputs, kind=kind(asked)
            )
        if input_type is not None and input_type not in recipe.prompts:
            raise UnknownPromptError(index=index, model=recipe.name, known=sorted(recipe.prompts))

    def _text(self, text: str, name: str | None, index: int, *, truncate: bool) -> Read:
        own = next((key for key, prompt in self._prompts if text.startswith(prompt)), None)
        content = text if own or name is None else self._recipe.prompts[name] + text
        if self._tokenizer is None:
            if truncate:
                raise UncountedError("truncate", index=index)
            return Read(
                given=Text(content=content, ids=()), prompt=own or name, tokens=0, truncated=False
            )
        limit = self._recipe.max_tokens
        begun = content[: CHARACTERS * limit]
        ids = _encoded(self._tokenizer, begun)
        if len(begun) < len(content):
            if len(ids) <= 2 * limit:  # much of it is blank, say
                ids = _encoded(self._tokenizer, content)
            elif not truncate:
                raise TooLongError(index=index, tokens=len(ids), limit=limit, counted=False)
        return self._within(content, ids, own or name, index, truncate=truncate)

    def _tokens(
        self, asked: Sequence[int], name: str | None, index: int, *, truncate: bool
    ) -> Read:
        if self._tokenizer is None:
            raise UncountedError("tokens", index=index)
        ids = _inside(list(asked), self._before, self._after)
        own = next((key for key, _ in self._prompts if _begins(ids, self._prompt_ids[key])), None)
        prompt = [] if own or name is None else self._prompt_ids[name]
        limit = self._recipe.max_tokens
        if len(ids) > 2 * limit:  # nothing costly is done with so many
            if not truncate:
                count = len(self._before) + len(prompt) + len(ids) + len(self._after)
                raise TooLongError(index=index, tokens=count, limit=limit)
            ids = ids[: 2 * limit]
        rows = self._tokenizer.get_vocab_size(with_added_tokens=True)
        if any(not 0 <= token < rows for token in ids):
            raise TokenRangeError(index=index, rows=rows)
        text: str = self._tokenizer.decode(ids)
        if self._tokenizer.encode(text, add_special_tokens=False).ids == ids:
            # With some tokenizers, the space that ends a prompt is part of the text's first token.
            return self._text(text, name, index, truncate=truncate)
        ids = [*prompt, *ids]
        content = self._tokenizer.decode(ids)
        whole = [*self._before, *ids, *self._after]
        return self._within(content, whole, own or name, index, truncate=truncate)

    def _within(
        self, content: str, ids: list[int], prompt: str | None, index: int, *, truncate: bool
    ) -> Read:
        limit = self._recipe.max_tokens
        if not ids:
            raise NoTokensError(index=index)
        if len(ids) <= limit:
            text = Text(content=content, ids=ids)
            return Read(given=text, prompt=prompt, tokens=len(ids), truncated=False)
        if not truncate:
            raise TooLongError(index=index, tokens=len(ids), limit=limit)
        kept = [*ids[: limit - len(self._after)], *self._after]
        text = Text(content=content, ids=kept)
        return Read(given=text, prompt=prompt, tokens=limit, truncated=True)


def _encoded(tokenizer: Tokenizer, content: str) -> list[int]:
    ids: list[int] = tokenizer.encode_batch_fast([content])[0].ids
    return ids


def _inside(ids: list[int], before: list[int], after: list[int]) -> list[int]:
    """Return a text's tokens without the special ones around them, where they are all there."""
    is_whole = len(ids) >= len(before) + len(after)
    if is_whole and ids[: len(before)] == before and ids[len(ids) - len(after) :] == after:
        return ids[len(before) : len(ids) - len(after)]
    return ids


def _begins(ids: list[int], beginning: list[int]) -> bool:
    return bool(beginning) and ids[: len(beginning)] == beginning
