"""Tokens: a model directory's `tokenizer.json`, for backends whose library does not read it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_service.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"


def tokenizer(model_dir: Path) -> Tokenizer:
    """Return the tokenizer of a model directory; it neither cuts nor pads.

    Raises:
        ModelError: The directory has none.
    """
    path = model_dir / TOKENIZER_FILE
    if not path.is_file():
        raise ModelError(
            f"{model_dir} has no {TOKENIZER_FILE}, which says what a text's tokens are"
        )
    # Read when the library is loaded: its thread pool would have a thread for each of the
    # machine's processors.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer  # noqa: PLC0415 -- after the variable above

    loaded: Tokenizer = Tokenizer.from_file(str(path))
    # A tokenizer.json may ask to cut and to pad.
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def specials(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the special tokens that are put before and after every text."""
    encoded = tokenizer.encode("a")
    special = list(encoded.special_tokens_mask)
    before = len(list(itertools.takewhile(bool, special)))
    after = len(list(itertools.takewhile(bool, reversed(special[before:]))))
    ids: list[int] = encoded.ids
    return ids[:before], ids[len(ids) - after :]
