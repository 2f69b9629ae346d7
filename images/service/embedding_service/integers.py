"""Integers that clients send: JSON has one kind of number, in which 6.0 is the integer 6.

https://json-schema.org/draft/2020-12/json-schema-core#name-instance-data-model
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field


def whole(value: object) -> object:
    """Return a number without a fraction as an integer, and anything else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


# The limit stands first: behind the function, it would not be in the OpenAPI document.
Positive = Annotated[int, Field(gt=0), BeforeValidator(whole)]
NotNegative = Annotated[int, Field(ge=0), BeforeValidator(whole)]
