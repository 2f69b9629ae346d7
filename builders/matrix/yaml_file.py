"""A YAML file read strictly, with the line and column of everything in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from builders.errors import MatrixError

Location = tuple[str | int, ...]
"""The way to a value from the top: the keys of mappings, the numbers of list items."""

NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""What YAML 1.2's core schema calls a decimal number: unlike YAML 1.1's, it may be `1e-5`."""

INTEGER = re.compile(r"[-+]?[0-9]+")
AMBIGUOUS = re.compile(r"[-+]?0[0-9]+")
"""Octal to YAML 1.1, decimal to YAML 1.2."""

CONSTANTS: Mapping[str, bool | None] = {"": None, "~": None} | {
    spell(word): value
    for word, value in (("null", None), ("true", True), ("false", False))
    for spell in (str.lower, str.title, str.upper)
}
"""The words that are no text. YAML 1.1's `yes`, `no`, `on` and `off` are text, as in YAML 1.2."""

LONGEST_INTEGER = 18
"""Digits: what fits 64 bits, and what Python converts without complaint."""


@dataclass(frozen=True, kw_only=True, order=True)
class Position:
    """A place in a file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong in a YAML file."""

    location: Location
    position: Position
    text: str

    @property
    def message(self) -> str:
        """The key's path and what is wrong: `models.fixture-768.dimension: missing`."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.location)
        path = "".join(parts).removeprefix(".")
        return f"{path}: {self.text}" if path else self.text

    def where(self, path: Path) -> str:
        """Return the place for people and editors: `matrix.yaml:41:5`."""
        return f"{path}:{self.position.line}:{self.position.column}"


@dataclass(frozen=True, kw_only=True)
class YamlFile:
    """The content of a YAML file.

    Mappings are dictionaries with text keys, lists are tuples, scalars are `str`, `int`, `float`,
    `bool` or `None` as in YAML 1.2: `1e-5` is a number, `no` is text (so are `0x1f` and `.inf`).
    """

    path: Path
    content: object
    positions: Mapping[Location, Position]
    """Where each key of a mapping and each item of a list stands."""
    problems: tuple[Problem, ...]
    """What is well-formed YAML but refused: duplicate and non-text keys, aliases, tags."""

    def position(self, location: Location) -> Position:
        """Return where a value stands; for one that is missing, where its parent does."""
        while location not in self.positions:
            location = location[:-1]
        return self.positions[location]


def read(path: Path) -> YamlFile:
    """Read a YAML file.

    Raises:
        MatrixError: It cannot be read, or is malformed: with line and column.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise MatrixError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            remedy="run Equivec in a checkout that has this file",
        ) from error
    except UnicodeDecodeError as error:
        raise MatrixError(
            f"not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}",
            where=str(path),
            remedy="save the file as UTF-8",
        ) from error
    return parse(text, path)


def parse(text: str, path: Path) -> YamlFile:
    """Parse the text of a YAML file; `path` is for messages.

    Raises:
        MatrixError: The text is malformed: with line and column.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = (error.context, error.problem)
        raise _malformed(
            path,
            Position(line=1, column=1) if mark is None else _position(mark),
            ", ".join(part for part in parts if part),
        ) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        position = Position(line=before.count("\n") + 1, column=len(before.rpartition("\n")[2]) + 1)
        raise _malformed(path, position, f"character U+{error.character:04X}") from error
    except RecursionError as error:
        raise _malformed(path, Position(line=1, column=1), "nested too deeply") from error
    reader = _Reader()
    content = reader.value(node, ()) if node is not None else None
    return YamlFile(
        path=path,
        content=content,
        positions={(): Position(line=1, column=1), **reader.positions},
        problems=tuple(reader.problems),
    )


class _Loader(yaml.SafeLoader):
    """PyYAML's parser without its YAML 1.1 reading of scalars, and without aliases.

    An alias makes one value stand in many places (the "billion laughs"), and an editor that
    validates by the schema shows problems where they are not.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"alias *{event.anchor}: write the value out", event.start_mark
            )
        return super().compose_node(parent, index)


class _Reader:
    """Turns nodes into values, collecting positions and problems."""

    def __init__(self) -> None:
        self.positions: dict[Location, Position] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, location: Location) -> object:
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return self._items(node, location)
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
            return self._scalar(node, location)
        self._refuse(node, location, f"the tag {node.tag} means nothing here")
        return None

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, object]:
        content: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node, location)
            if not isinstance(key, str):
                shown = getattr(key_node, "value", None)
                text = f"the key {shown}" if isinstance(shown, str) else "a mapping or list as key"
                self._refuse(key_node, location, f"{text} is not text: put it in quotes")
                continue
            place = (*location, key)
            if key in content:
                first = self.positions[place].line
                self._refuse(key_node, place, f"duplicate key: it stands in line {first} already")
                continue
            self.positions[place] = _position(key_node.start_mark)
            content[key] = self.value(value_node, place)
        return content

    def _items(self, node: yaml.SequenceNode, location: Location) -> tuple[object, ...]:
        items = []
        for number, item in enumerate(node.value):
            place = (*location, number)
            self.positions[place] = _position(item.start_mark)
            items.append(self.value(item, place))
        return tuple(items)

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> str | int | float | bool | None:
        text: str = node.value
        if node.style is not None:
            return text
        if text in CONSTANTS:
            return CONSTANTS[text]
        if AMBIGUOUS.fullmatch(text):
            self._refuse(node, location, f"{text} starts with 0: leave it out, or use quotes")
            return None
        if INTEGER.fullmatch(text):
            if len(text) > LONGEST_INTEGER:
                self._refuse(node, location, f"a number of {len(text)} digits")
                return None
            return int(text)
        return float(text) if NUMBER.fullmatch(text) else text

    def _refuse(self, node: yaml.Node, location: Location, text: str) -> None:
        self.problems.append(
            Problem(location=location, position=_position(node.start_mark), text=text)
        )


def _malformed(path: Path, position: Position, text: str) -> MatrixError:
    return MatrixError(
        f"malformed YAML: {text}",
        where=f"{path}:{position.line}:{position.column}",
        remedy="correct the file there, or in the line above",
    )


def _position(mark: yaml.Mark) -> Position:
    return Position(line=mark.line + 1, column=mark.column + 1)
