"""Fields: what all objects in the bodies of requests have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

MOST_UNKNOWN = 8
"""How many fields that are not known are named, each with its error."""


class Fields(BaseModel):
    """An object in a request's body: it holds what is described, of just that type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _are_few(cls, given: object) -> object:
        """Refuse a flood of fields at once: a million errors would take gigabytes."""
        known = len(cls.model_fields)
        if isinstance(given, dict) and len(given) > known + MOST_UNKNOWN:
            raise PydanticCustomError(
                "too_many_fields",
                "there are {count} fields, of which at most {known} are known",
                {"count": len(given), "known": known},
            )
        return given
