"""The backend whose model is served elsewhere: texts are sent as they are, with their prompt."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import InputError, SettingsError
from embedding_service.inputs import Text
from embedding_service.settings import Settings
from embedding_service.upstreams.declaration import DeclaredSpace
from embedding_service.upstreams.declared import KEY_VARIABLE
from embedding_service.upstreams.line import Line, TextRefusedError, Witness
from embedding_service.upstreams.succession import Succession
from embedding_service.upstreams.upstream import upstream

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Backend:
    """Upstreams of one vector space; several texts are one request.

    Args:
        space: What the operator, or the model's directory, declares.
        settings: How many requests there may be at a time, and how long they may take.
    """

    name: ClassVar[str] = "openai"
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)

    def __init__(self, space: DeclaredSpace, settings: Settings) -> None:
        recipe = space.recipe
        self.capabilities = Capabilities(
            text=True,
            image=False,
            max_tokens=recipe.max_tokens,
            batching="padded",
            concurrent=settings.openai_requests,
        )
        self.tokenizer: Tokenizer | None = None
        environment = os.environ | {KEY_VARIABLE: settings.openai_api_key or ""}
        asked = [upstream(declared, space, environment) for declared in space.upstreams]
        runtime = {
            "upstreams": ", ".join(f"{each.address} ({each.model})" for each in asked),
            "answering": "",
        }
        self.runtime: Mapping[str, str] = runtime
        witness = Witness(recipe)
        self._succession = Succession(
            [Line(each, recipe, witness, shortened=space.shortened) for each in asked],
            seconds=settings.openai_timeout,
            on_answer=lambda each: runtime.update(answering=each.address),
        )

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:  # noqa: ARG003 -- of the contract
        """Ask those who serve the space that the settings declare.

        Raises:
            SettingsError: They declare none, or several, or a key cannot be read.
        """
        if len(settings.upstreams) != 1:
            raise SettingsError("one vector space is served at a time")
        return cls(settings.upstreams[0], settings)

    def embed(self, inputs: Sequence[Text]) -> Vectors:
        """Return the texts' vectors, float32 of shape (texts, dimension).

        Raises:
            InputError: The API refuses a text.
            UpstreamError: No upstream gives vectors in time.
        """
        return self._vectors([text.content for text in inputs], first=0)

    def close(self) -> None:
        """Close the connections."""
        self._succession.close()

    def _vectors(self, texts: Sequence[str], *, first: int) -> Vectors:
        """Return vectors; which text of several is refused, or whether all are, halving finds."""
        try:
            return self._succession.vectors(texts)
        except TextRefusedError as error:
            if len(texts) == 1:
                raise InputError(f"the API refuses the text ({error})", index=first) from error
        middle = len(texts) // 2
        return np.concatenate(
            [
                self._vectors(texts[:middle], first=first),
                self._vectors(texts[middle:], first=first + middle),
            ]
        )
