"""Where matrix.yaml says that passing images go: a directory, registries, or both."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from builders.matrix.section import PUBLICATION, RULES, unrepeated
from builders.matrix.validation import shown

DIRECTORY = "oci:"
REGISTRY = "docker://"

_Place = Annotated[str, Field(pattern=PUBLICATION)]


def _listed(value: object) -> object:
    """Return one place as a list of it."""
    return (value,) if isinstance(value, str) else value


def _are_places(places: tuple[str, ...]) -> tuple[str, ...]:
    for place in places:
        if re.fullmatch(PUBLICATION, place) is None:
            raise ValueError(f"{RULES[PUBLICATION]}; is {shown(place)}")
    directories = [place for place in places if place.startswith(DIRECTORY)]
    if len(directories) > 1:
        raise ValueError(f"names {len(directories)} directories: registries are filled from one")
    return unrepeated(places)


Publications = Annotated[
    tuple[str, ...],
    Field(min_length=1),
    BeforeValidator(
        _listed,
        json_schema_input_type=_Place | Annotated[tuple[_Place, ...], Field(min_length=1)],
    ),
    AfterValidator(_are_places),
]
