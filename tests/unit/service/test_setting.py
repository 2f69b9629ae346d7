from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from embedding_service.errors import SettingsError
from embedding_service.setting import Kind, choice, number, place, switch, words
from embedding_service.settings import Settings, entries

PORT = number(most=100)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (PORT, "1", 1),
        (PORT, "100", 100),
        (PORT, "007", 7),
        (number(least=0, most=5), "0", 0),
        (choice("a", "b"), "b", "b"),
        (switch(), "true", True),
        (switch(), "false", False),
        (words("a name"), "a name", "a name"),
        (place("a file"), "/a/b", Path("/a/b")),
    ],
)
def test_a_variables_text_means_a_value(kind: Kind, text: str, value: object) -> None:
    assert kind.of_text(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((PORT, text) for text in ("0", "101", "-1", "1.0", "0001", "1" * 5000, "٣", " 1", "x")),
        (choice("a", "b"), "c"),
        *((switch(), text) for text in ("1", "yes", "True")),
        (words("a name"), " "),
        (words("a name"), "two\nlines"),
        (place("a file"), "a\0b"),
    ],
)
def test_any_other_text_means_none(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- its message is the setting's
        kind.of_text(text)


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (PORT, [1, 100], [0, 101, 1.5, "1", True, [1]]),
        (choice("a", "b"), ["a", "b"], ["c", 1, ["a"]]),
        (switch(), [True, False], ["true", 1, 0]),
        (words("a name"), ["a"], ["", 1, ["a"]]),
        (place("a file"), ["/a"], ["", 1, ["a"]]),
    ],
)
def test_a_value_in_the_file_is_what_its_schema_says(
    kind: Kind, right: list[object], wrong: list[object]
) -> None:
    validator = jsonschema.Draft202012Validator(kind.schema)
    for value in right:
        kind.of_json(value)
        assert validator.is_valid(value), value
    for value in wrong:
        with pytest.raises(ValueError):  # noqa: PT011 -- its message is the setting's
            kind.of_json(value)
        assert not validator.is_valid(value), value


def test_every_setting_has_its_own_variable() -> None:
    variables = [setting.variable for setting in entries().values()]
    assert len(set(variables)) == len(variables)
    assert all(variable.startswith("EMBEDDING_") for variable in variables)


def test_every_default_is_a_value_that_its_own_rule_takes() -> None:
    for name, setting in entries().items():
        value = getattr(Settings(), name)
        if isinstance(value, Path):
            assert setting.kind.of_text(str(value)) == value
        elif value not in (None, ()):  # of a list that is not given
            assert setting.kind.of_json(value) == value, name


def test_no_request_changes_a_secret_or_a_place() -> None:
    """No path from a request reaches the file system."""
    for name, setting in entries().items():
        if setting.is_secret or setting.kind.rule.startswith("the path of"):
            assert setting.changed_by != "request", name


def test_a_secret_appears_nowhere() -> None:
    secrets = {name: each for name, each in entries().items() if each.is_secret}
    assert set(secrets) >= {"api_keys", "admin_token"}
    for name, setting in secrets.items():
        settings = Settings.from_environment({setting.variable: "hush"})
        assert getattr(settings, name) == "hush"
        assert "hush" not in repr(settings)
        with pytest.raises(SettingsError) as refused:
            Settings.from_environment({setting.variable: "hush\n"})
        assert "hush" not in str(refused.value)
        assert setting.variable in str(refused.value)
