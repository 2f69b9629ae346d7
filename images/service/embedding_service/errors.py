"""Every way in which the service can fail: what stops it, and what one request is answered."""

from __future__ import annotations

from collections.abc import Sequence


class StartError(Exception):
    """The service cannot serve: it stops with the class's exit code and this one line."""

    exit_code = 1


class SettingsError(StartError):
    """An environment variable, an argument or a corpus holds a value that cannot be used."""

    exit_code = 2


class ModelError(StartError):
    """The model or its backend is not what its recipe declares."""

    exit_code = 3


class ListenError(StartError):
    """The service cannot listen on its port."""

    exit_code = 4


class ServerAnswerError(StartError):
    """The client got no answer, or not the one it needs."""

    exit_code = 5


class NotReadyError(Exception):
    """The model is not loaded yet, or no longer; ask again later, or elsewhere."""


class EmbeddingError(Exception):
    """The backend failed, or returned vectors that its recipe rules out."""


class InputError(Exception):
    """One input cannot be embedded.

    Args:
        message: What is wrong with it. It holds no part of the input.
        index: Which of the inputs, from 0.
    """

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message)
        self.index = index


class UnsupportedInputError(InputError):
    """An input of a kind that the model makes no vectors of.

    Args:
        index: Which of the inputs, from 0.
        model: The model's name.
        takes: The kinds that it takes.
        kind: The input's: "text" or "image".
    """

    def __init__(self, *, index: int, model: str, takes: Sequence[str], kind: str) -> None:
        super().__init__(f"{model} takes {' and '.join(takes)}, and no {kind}", index=index)


class ImageError(InputError):
    """An input is not an image that can be read: another format, cut off, or too large."""


class ImageTooLargeError(ImageError):
    """An image has more bytes or pixels than are taken, or a side that is too long."""


class TooLongError(InputError):
    """An input has more tokens than the model takes; it is never cut silently.

    Args:
        index: Which of the inputs, from 0.
        tokens: How many tokens it has, prompt and special tokens included.
        limit: How many the model takes.
    """

    def __init__(self, *, index: int, tokens: int, limit: int) -> None:
        super().__init__(
            f"the text has {tokens} tokens, prompt and special tokens included; "
            f"the model takes {limit}",
            index=index,
        )
        self.tokens = tokens
        self.limit = limit


class NoTokensError(InputError):
    """An input is nothing to the model: its tokenizer makes no token of it.

    Args:
        index: Which of the inputs, from 0.
    """

    def __init__(self, *, index: int) -> None:
        super().__init__("the model's tokenizer makes no token of this text", index=index)
