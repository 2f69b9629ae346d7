"""The gpt4all backend: `model.gguf` and `tokenizer.json`, through Embed4All, on the CPU."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from embedding_service import gguf, tokens
from embedding_service import recipe as recipes
from embedding_service.contract import Capabilities, Vectors
from embedding_service.errors import InputError, ModelError
from embedding_service.inputs import Text
from embedding_service.recipe import Recipe
from embedding_service.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_PREFIX = ""
"""Embed4All puts `search_document: ` before a text unless it is told otherwise. The contract puts
the recipe's prompt there, so that nothing is left for the library to add."""

UNKNOWN = ("ꙮ", "𒀀", "ጀ")
"""Characters of which at least one is in no vocabulary: it stands for a word that is unknown."""


class Backend:
    """A BERT or nomic-bert encoder in the GGUF format; gpt4all pools, as the file says.

    Embed4All takes texts, not tokens, and its tokenizer is not the model's: it keeps vowel signs,
    cuts words that are too long to be known, and reads no `[CLS]` as a token. So `tokenizer.json`
    makes the tokens, and Embed4All is given a text that has exactly these, word by word; it says
    how many it found. Each text is computed alone.
    """

    name: ClassVar[str] = "gpt4all"
    libraries: ClassVar[tuple[str, ...]] = ("gpt4all", "numpy", "tokenizers")

    def __init__(self, recipe: Recipe, words: _Words, embedder: Any) -> None:
        self.capabilities = Capabilities(
            text=True, image=False, max_tokens=recipe.max_tokens, batching="none"
        )
        self.tokenizer = words.tokenizer
        self.runtime = {"implementation": embedder.gpt4all.backend, "device": "cpu"}
        self._recipe = recipe
        self._words = words
        self._embedder = embedder

    @classmethod
    def load(cls, model_dir: Path, settings: Settings) -> Self:
        """Load `model.gguf` and `tokenizer.json`.

        Raises:
            ModelError: The model is of another format, is not what its recipe says, or gpt4all has
                ideas of its own about it.
        """
        recipe = recipes.read(model_dir)
        if recipe.format != "gguf":
            raise ModelError(f"{cls.name} takes models in the format gguf, not {recipe.format}")
        tokenizer = tokens.tokenizer(model_dir)
        header = gguf.read_header(model_dir / gguf.MODEL_FILE)
        gguf.check_recipe(header, recipe)
        gguf.check_vocabulary(
            header,
            own=tokenizer.get_vocab_size(with_added_tokens=False),
            known=tokenizer.get_vocab_size(with_added_tokens=True),
        )
        words = _Words(tokenizer)
        embedder = importlib.import_module("gpt4all").Embed4All(
            gguf.MODEL_FILE,
            model_path=model_dir,
            allow_download=False,
            device="cpu",
            n_threads=settings.threads,
            # Longer texts would be cut in pieces, whose vectors are averaged.
            n_ctx=recipe.max_tokens,
        )
        _refuse_own_prefixes(embedder, str(header.keys.get("general.name")))
        return cls(recipe, words, embedder)

    def embed(self, inputs: Sequence[Text]) -> Vectors:
        """Return the texts' vectors, float32 of shape (texts, dimension).

        Raises:
            InputError: A text's tokens are none that a text can be written for.
        """
        texts = [self._words.text(each.ids, index) for index, each in enumerate(inputs)]
        vectors = np.array([self._vector(*text) for text in texts], dtype=np.float32)
        if not self._recipe.normalize:
            return vectors
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def close(self) -> None:
        """Free the model."""
        self._embedder.close()

    def _vector(self, text: str, count: int) -> list[float]:
        found = self._embedder.embed(text, prefix=NO_PREFIX, return_dict=True)
        if found["n_prompt_tokens"] != count:
            raise RuntimeError(f"{found['n_prompt_tokens']} tokens instead of {count}")
        vector: list[float] = found["embeddings"]
        return vector


class _Words:
    """Writes texts whose tokens, to gpt4all, are those that tokenizer.json made.

    Both look for the longest known beginning of a word, then of the rest of it: a word that is put
    together from its pieces falls into the same pieces.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        model = json.loads(tokenizer.to_str())["model"]
        if model["type"] != "WordPiece":
            raise ModelError(f"gpt4all's texts are made of WordPiece's tokens, not {model['type']}")
        self.tokenizer = tokenizer
        before, after = tokens.specials(tokenizer)
        self._inner = slice(len(before), -len(after) or None)
        self._inside = str(model["continuing_subword_prefix"])
        self._unknown = str(model["unk_token"])
        self._special = frozenset(
            token.content for token in tokenizer.get_added_tokens_decoder().values()
        ) - {self._unknown}
        own = [c for c in UNKNOWN if self._is_unknown(c)]
        if not own:
            raise ModelError(f"tokenizer.json knows each of {', '.join(UNKNOWN)}")
        self._stranger = own[0]

    def text(self, ids: Sequence[int], index: int) -> tuple[str, int]:
        """Return the text that has these tokens, and how many there are.

        The special tokens at the beginning and end do not count: gpt4all puts them there.

        Args:
            ids: Of one input.
            index: Which of the inputs it is.

        Raises:
            InputError: There are none, or one of them is written like a special token.
        """
        words: list[str] = []
        pieces = [str(self.tokenizer.id_to_token(id_)) for id_ in ids[self._inner]]
        if not pieces:
            raise InputError("gpt4all can embed no text that has no word", index=index)
        for piece in pieces:
            if piece in self._special:
                raise InputError("gpt4all reads no special tokens within a text", index=index)
            if piece == self._unknown:
                words.append(self._stranger)
            elif piece.startswith(self._inside) and piece != self._inside:
                words[-1] += piece.removeprefix(self._inside)
            else:
                words.append(piece)
        return " ".join(words), len(pieces)

    def _is_unknown(self, character: str) -> bool:
        encoding = self.tokenizer.encode(character, add_special_tokens=False)
        return bool(encoding.tokens == [self._unknown])


def _refuse_own_prefixes(embedder: Any, name: str) -> None:
    """Refuse a model of whose name gpt4all has a list of prefixes: it insists on one of them.

    To nomic-embed-text-v1.5 it applies a layer normalisation besides, which no recipe declares:
    that is another vector space.
    """
    try:
        embedder.embed("a", prefix=NO_PREFIX)
    except RuntimeError as error:
        raise ModelError(
            f"gpt4all embeds {name} only behind one of its own prefixes, whatever the recipe says:"
            f" {error}"
        ) from error
