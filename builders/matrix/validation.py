"""What pydantic finds wrong in a YAML file, said so that its author can correct it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from builders.matrix.spelling import suggestion
from builders.matrix.yaml_file import Location

LONGEST_VALUE = 60
"""Characters of a value that a message shows."""

WORDS = (
    ("a valid dictionary", "a mapping"),
    ("a valid tuple", "a list"),
    ("a valid string", "text"),
    ("a valid boolean", "true or false"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
)
"""Python's words for types, and YAML's."""


def findings(
    error: ValidationError, model: type[BaseModel], rules: Mapping[str, str]
) -> Iterator[tuple[Location, str]]:
    """Yield where and what is wrong, for each of an error's findings.

    Args:
        error: What validating a file's content against `model` raised.
        model: The model of the whole file.
        rules: What each pattern of the model's texts means, in words.
    """
    found = error.errors(include_url=False)
    places = [details["loc"] for details in found]
    for details in found:
        if details["type"] == "too_short" and _inside(details["loc"], places):
            continue  # It counts without the items that are wrong.
        if details["type"] == "default_factory_not_called":
            continue  # It follows from another key, which is wrong, and reported so.
        # A problem with a key is one of the place where the key stands.
        location = tuple(part for part in details["loc"] if part != "[key]")
        yield location, _text(details, location, model, rules)


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, and not too long."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "{}"
    if isinstance(value, tuple):
        return "a list" if value else "[]"
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _inside(place: Location, places: Iterable[Location]) -> bool:
    """Return whether one of the places is inside another place."""
    return any(len(each) > len(place) and each[: len(place)] == place for each in places)


def _text(
    details: ErrorDetails,
    location: Location,
    model: type[BaseModel],
    rules: Mapping[str, str],
) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        near = suggestion(str(location[-1]), _keys(model, location[:-1]))
        return f"unknown key, with {shown(value)}{near}"
    if kind == "string_pattern_mismatch":
        return f"{rules[context['pattern']]}; is {shown(value)}"
    if kind == "literal_error":
        known = [word for word in context["expected"].split("'") if word not in (", ", " or ", "")]
        near = suggestion(value, known) if isinstance(value, str) else ""
        return f"must be {context['expected']}; is {shown(value)}{near}"
    return f"{_rule(details['msg'])}; is {shown(value)}"


def _rule(message: str) -> str:
    """Return pydantic's message as a rule in YAML's words."""
    rule = message.partition(" should ")[2].partition(" or instance of ")[0]
    for word, plain in WORDS:
        rule = rule.replace(word, plain)
    return f"must {rule}"


def _keys(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    """Return the keys that the mapping at a location may have, by the types on the way to it."""
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = _present(current.model_fields[str(part)].annotation)
        else:
            current = [each for each in get_args(current) if each is not Ellipsis][-1]
    return tuple(current.model_fields)


def _present(annotation: Any) -> Any:
    """Return the type of a value that may be left out, when it is there."""
    types = get_args(annotation)
    return types[0] if types[1:] == (NoneType,) else annotation
