"""Tokens: a model directory's `tokenizer.json`, for backends whose library does not read it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_service.errors import ModelError, NoTokensError, TooLongError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

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


def encodings(
    tokenizer: Tokenizer, texts: Sequence[str], *, limit: int, places: Sequence[int] | None = None
) -> list[Encoding]:
    """Return the tokens of each text, the special ones included; none is cut.

    Args:
        tokenizer: Of `tokenizer`.
        texts: What to encode.
        limit: How many tokens the model takes.
        places: Which of the inputs each text is, where images are among them.

    Raises:
        TooLongError: A text has more than `limit` tokens.
        NoTokensError: The tokenizer makes no token of a text.
    """
    encoded: list[Encoding] = tokenizer.encode_batch_fast(list(texts))
    for index, encoding in zip(places or range(len(texts)), encoded, strict=True):
        tokens = len(encoding.ids)
        if tokens > limit:
            raise TooLongError(index=index, tokens=tokens, limit=limit)
        if tokens == 0:
            raise NoTokensError(index=index)
    return encoded
