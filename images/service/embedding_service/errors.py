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


class SpaceChangeError(Exception):
    """A reload would change the vector space, and nobody said that it may.

    Args:
        before: The space that is served, and stays.
        after: The one that would be.
    """

    def __init__(self, *, before: str, after: str) -> None:
        super().__init__(
            f"the vector space would change from {before} to {after}: vectors of the one cannot be "
            "compared with those of the other; allow_space_change says that it may"
        )


class NotReadyError(Exception):
    """The model is not loaded yet, or no longer; ask again later, or elsewhere."""


class QueueFullError(Exception):
    """More is waiting than the service takes; ask again later.

    Args:
        waiting: How many inputs wait.
        seconds: After which to ask again.
    """

    def __init__(self, *, waiting: int, seconds: int) -> None:
        super().__init__(f"{waiting} inputs are waiting already; ask again in {seconds} s")
        self.seconds = seconds


class RequestError(Exception):
    """A request as a whole cannot be answered, whatever its inputs are."""


class TooManyInputsError(RequestError):
    """A request has more inputs than are taken at once.

    Args:
        inputs: How many it has.
        most: How many are taken.
    """

    def __init__(self, *, inputs: int, most: int) -> None:
        super().__init__(f"{inputs} inputs; at most {most} are taken in one request")


class UnknownModelError(RequestError):
    """A request names a model that is not served.

    Args:
        served: The name of the one that is.
    """

    def __init__(self, *, served: str) -> None:
        super().__init__(f"the model that is served is {served}")


class SpaceMismatchError(RequestError):
    """The client expects vectors of another space than it would get: they must not be mixed.

    Args:
        expected: The space that the client names.
        actual: The space of the vectors that it would get.
    """

    def __init__(self, *, expected: str, actual: str) -> None:
        super().__init__(
            f"vectors of the space {expected} are expected; those of this service are of {actual}"
        )
        self.actual = actual


class DimensionsError(RequestError):
    """The model has no vectors of so many dimensions.

    Args:
        model: The model's name.
        known: What it has.
    """

    def __init__(self, *, model: str, known: Sequence[int]) -> None:
        listed = ", ".join(map(str, known))
        super().__init__(f"{model} has vectors of these dimensions: {listed}")
        self.known = tuple(known)


class EmbeddingError(Exception):
    """The backend failed, or returned vectors that its recipe rules out."""


class UpstreamError(EmbeddingError):
    """No upstream gives vectors: for no reason that is in the inputs.

    Args:
        message: What each of them does.
        seconds: After which to ask again.
        is_absent: Whether they all only fail, or are not there, which may pass; otherwise one is
            not what it is declared to be, or does not serve us.
    """

    def __init__(self, message: str, *, seconds: int, is_absent: bool) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.is_absent = is_absent


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
        tokens: How many tokens it has, prompt and special tokens included; at least.
        limit: How many the model takes.
        counted: Whether it has just so many.
    """

    def __init__(self, *, index: int, tokens: int, limit: int, counted: bool = True) -> None:
        count = f"{tokens}" if counted else f"more than {tokens}"
        super().__init__(
            f"the text has {count} tokens, prompt and special tokens included; "
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


class TokenRangeError(InputError):
    """An input given as tokens has a number that is none of the vocabulary's.

    Args:
        index: Which of the inputs, from 0.
        rows: How many tokens the vocabulary has.
    """

    def __init__(self, *, index: int, rows: int) -> None:
        super().__init__(
            f"a token is none of this model's vocabulary, which are 0 to {rows - 1}", index=index
        )


class UncountedError(InputError):
    """What is asked needs the model's tokenizer, which an upstream has to itself.

    Args:
        what: "truncate" or "tokens".
        index: Which of the inputs, from 0.
    """

    def __init__(self, what: str, *, index: int) -> None:
        wanted = {
            "truncate": "a text cannot be cut here",
            "tokens": "tokens cannot be taken here",
        }[what]
        super().__init__(f"{wanted}: the tokenizer is the upstream's", index=index)


class UnknownPromptError(InputError):
    """The model declares no prompt for this type of input.

    Args:
        index: Which of the inputs, from 0.
        model: The model's name.
        known: The types that it has prompts for.
    """

    def __init__(self, *, index: int, model: str, known: Sequence[str]) -> None:
        types = ", ".join(known) or "none"
        super().__init__(f"{model} has prompts for these input types: {types}", index=index)
