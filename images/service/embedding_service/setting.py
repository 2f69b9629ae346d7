"""A setting: which variable it is, what it may be, and who may change it while the service runs."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from embedding_service.errors import SettingsError

Changer = Literal["start", "file", "request"]
"""Who may set a setting: the environment at the start, and nobody later; also the configuration
file, at a reload; also a request of an administrator. Each may what those before it may."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What values a setting may have.

    Attributes:
        rule: What a value must be, as a sentence ends with it.
        schema: The JSON Schema of a value in the configuration file.
        of_text: Returns the value that a variable's text (not empty) means; a ValueError if none.
        of_json: Returns the value that one in the configuration file (not null) means; likewise.
    """

    rule: str
    schema: Mapping[str, Any]
    of_text: Callable[[str], object]
    of_json: Callable[[object], object]


@dataclass(frozen=True)
class Setting:
    """What is to be known of one setting besides its type and default, which its field has.

    Attributes:
        variable: The environment variable.
        kind: What values it may have.
        says: What it decides, for people; the documentation's table shows it.
        changed_by: Who may change it.
        default: What the default is, where it is not a fixed value.
        is_of_answers: Whether it concerns only how requests are answered: it is changed without
            loading the model again.
        is_secret: Whether its value appears nowhere: in no message, no log, no answer. Its field
            takes `repr=False` too.
    """

    variable: str
    kind: Kind
    says: str
    changed_by: Changer = "start"
    default: str | None = None
    is_of_answers: bool = False
    is_secret: bool = False


def number(*, least: int = 1, most: int) -> Kind:
    """Return the whole numbers from `least` to `most`."""

    def of_json(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    def of_text(text: str) -> int:
        # Only the digits 0 to 9, and no more of them than a number in range can have.
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
            raise ValueError
        return of_json(int(text))

    return Kind(
        rule=f"a whole number from {least} to {most}",
        schema={"type": "integer", "minimum": least, "maximum": most},
        of_text=of_text,
        of_json=of_json,
    )


def choice(*words: str) -> Kind:
    """Return these words, of which one is a value."""

    def of_json(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError
        return value

    return Kind(
        rule=" or ".join(words),
        schema={"type": "string", "enum": list(words)},
        of_text=of_json,
        of_json=of_json,
    )


def switch() -> Kind:
    """Return true and false."""

    def of_json(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError  # noqa: TRY004 -- one error, whatever is wrong
        return value

    def of_text(text: str) -> bool:
        if text not in ("true", "false"):
            raise ValueError
        return text == "true"

    return Kind(rule="true or false", schema={"type": "boolean"}, of_text=of_text, of_json=of_json)


def words(what: str) -> Kind:
    """Return the texts of one line.

    Args:
        what: What such a text is, for people: "a name", say.
    """

    def of_json(value: object) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise ValueError
        return value

    return Kind(
        rule=what, schema={"type": "string", "minLength": 1}, of_text=of_json, of_json=of_json
    )


def place(what: str) -> Kind:
    """Return the paths.

    Args:
        what: What a path leads to, for people: "a directory", say.
    """

    def of_json(value: object) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError
        return Path(value)

    return Kind(
        rule=f"the path of {what}",
        schema={"type": "string", "minLength": 1},
        of_text=of_json,
        of_json=of_json,
    )


def of_environment(
    settings: Mapping[str, Setting], environment: Mapping[str, str]
) -> dict[str, object]:
    """Return the values that environment variables give settings, by the settings' names.

    A variable that is set but empty counts as not set.

    Raises:
        SettingsError: A value cannot be used; the message names the variable.
    """
    given: dict[str, object] = {}
    for name, setting in settings.items():
        if text := environment.get(setting.variable):
            try:
                given[name] = setting.kind.of_text(text)
            except ValueError as error:
                raise _refusal(setting.variable, setting, text, error) from error
    return given


def of_values(
    settings: Mapping[str, Setting],
    values: Mapping[str, object],
    *,
    by: Literal["file", "request"],
    where: str,
) -> dict[str, object]:
    """Return the values that JSON gives settings, by the settings' names; without what is null.

    Args:
        settings: All there are, by their names.
        values: What JSON has.
        by: Who sets them.
        where: What an error says about where they are.

    Raises:
        SettingsError: There is no such setting, it may not be changed, or has another value.
    """
    given: dict[str, object] = {}
    for name, value in values.items():
        setting = settings.get(name)
        if setting is None:
            near = difflib.get_close_matches(name, settings, n=1)
            hint = f"; is {near[0]} meant?" if near else ""
            raise SettingsError(f"{where}: there is no setting {name[:60]!r}{hint}")
        if setting.changed_by == "start" or (by, setting.changed_by) == ("request", "file"):
            raise SettingsError(f"{where}: {name} is not changed so: {_way(setting)}")
        if value is None:
            continue
        try:
            given[name] = setting.kind.of_json(value)
        except ValueError as error:
            raise _refusal(f"{where}: {name}", setting, value, error) from error
    return given


def _way(setting: Setting) -> str:
    if setting.changed_by == "file":
        return "the configuration file changes it"
    return f"set {setting.variable} and start again"


def _refusal(name: str, setting: Setting, value: object, error: ValueError) -> SettingsError:
    if str(error):
        return SettingsError(f"{name} cannot be used: {error}")
    found = "cannot be used" if setting.is_secret else f"is {reprlib.repr(value)}"
    return SettingsError(f"{name} {found}: it must be {setting.kind.rule}")
