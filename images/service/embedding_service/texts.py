"""Texts that clients send: what no text can hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError


def checked(text: str) -> str:
    """Return a text as it is.

    Raises:
        PydanticCustomError: It holds NUL characters or lone surrogates, which no library takes.
    """
    if "\0" in text:
        raise PydanticCustomError("nul", "a text cannot hold NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("surrogate", "a text cannot hold lone surrogates") from error
    return text


Text = Annotated[
    str, AfterValidator(checked), WithJsonSchema({"type": "string", "pattern": r"^[^\x00]*$"})
]
