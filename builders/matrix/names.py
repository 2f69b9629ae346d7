"""The names that matrix.yaml uses in one place and defines in another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from builders.matrix.spelling import suggestion
from builders.matrix.yaml_file import Location


def findings(content: object) -> Iterator[tuple[Location, str]]:
    """Yield where a name is used that is not defined, and what is wrong with it.

    It reads the content of the file, whatever else is wrong with it: so one run tells everything.
    """
    tables = {axis: _at(content, (axis,)) for axis in ("backends", "platforms", "models")}
    for backend in _keys(tables["backends"]):
        place: Location = ("backends", backend, "platforms")
        yield from _undefined(content, place, "platforms", tables["platforms"])
        listed = _at(content, place)
        if isinstance(listed, tuple):
            known = dict.fromkeys(listed)
            refused: Location = ("backends", backend, "refused")
            yield from _undefined(content, refused, f"backends.{backend}.platforms", known)
        for key in ("cross_backend", "not_for"):
            at: Location = ("backends", backend, key)
            for model in _keys(_at(content, at)):
                yield from _unknown_key(at, model, tables["models"])
    yield from _undefined(content, ("anchor",), "backends", tables["backends"])
    for model in _keys(tables["models"]):
        place = ("models", model, "precision")
        yield from _undefined(content, place, "tolerances", _at(content, ("tolerances",)))
        prompts = _at(content, ("models", model, "prompts")) or {}
        place = ("models", model, "default_prompt")
        yield from _undefined(content, place, f"models.{model}.prompts", prompts)
    for axis, table in tables.items():
        yield from _undefined(content, ("release", axis), axis, table)
        yield from _undefined(content, ("default", axis), axis, table)
    yield from _collisions(_keys(tables["backends"]), _keys(tables["models"]))


def _undefined(
    content: object, place: Location, table: str, known: object
) -> Iterator[tuple[Location, str]]:
    """Yield the names at a place (one, or a list of them) that a table does not define."""
    if not isinstance(known, Mapping):
        return  # The table itself is wrong, and reported so.
    used = _at(content, place)
    names = enumerate(used) if isinstance(used, tuple) else [(None, used)]
    for number, name in names:
        if isinstance(name, str) and name not in known:
            text = f"{name!r} is not among {table}: {', '.join(known) or 'none'}"
            location = place if number is None else (*place, number)
            yield location, text + suggestion(name, known)


def _unknown_key(place: Location, name: str, known: object) -> Iterator[tuple[Location, str]]:
    """Yield a key that is no model's name."""
    if isinstance(known, Mapping) and name not in known:
        text = f"{name!r} is not among models: {', '.join(known) or 'none'}"
        yield (*place, name), text + suggestion(name, known)


def _collisions(backends: Iterable[str], models: Iterable[str]) -> Iterator[tuple[Location, str]]:
    """Yield the models that share a cell's id, and so an image's name, with another pair."""
    pairs: dict[str, tuple[str, str]] = {}
    for pair in itertools.product(backends, models):
        first = pairs.setdefault("-".join(pair), pair)
        if first != pair:
            both = f"{first[0]} with {first[1]} and {pair[0]} with {pair[1]}"
            yield ("models", pair[1]), f"{both} would both be {'-'.join(pair)}: rename one"


def _keys(table: object) -> tuple[str, ...]:
    return tuple(table) if isinstance(table, Mapping) else ()


def _at(content: object, location: Location) -> object:
    """Return what stands at a place, or None."""
    for part in location:
        if not isinstance(content, Mapping):
            return None
        content = content.get(part)
    return content
