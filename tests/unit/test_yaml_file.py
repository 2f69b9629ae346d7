from __future__ import annotations

from pathlib import Path

import pytest

from builders.errors import MatrixError
from builders.matrix.yaml_file import Position, parse, read

FILE = Path("m.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1.0e-5", 1e-5),
        (".5", 0.5),
        ("-3", -3),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0x1f", "0x1f"),
        (".inf", ".inf"),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ("'true'", "true"),
        ("|\n  text\n", "text\n"),
        ("[1, a]", (1, "a")),
        ("{b: 1}", {"b": 1}),
    ],
)
def test_scalars_are_read_as_in_yaml_1_2(text: str, value: object) -> None:
    file = parse(f"a: {text}", FILE)
    assert file.problems == ()
    assert file.content == {"a": value}
    assert type(file.content["a"]) is type(value)


def test_keys_and_items_have_positions() -> None:
    file = parse("a:\n  b:\n    - 1\n    - c: 2\n", FILE)
    assert file.position(("a",)) == Position(line=1, column=1)
    assert file.position(("a", "b")) == Position(line=2, column=3)
    assert file.position(("a", "b", 0)) == Position(line=3, column=7)
    assert file.position(("a", "b", 1, "c")) == Position(line=4, column=7)
    assert file.position(("a", "missing", "deeper")) == Position(line=1, column=1)
    assert file.position(("missing",)) == Position(line=1, column=1)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: 1\nb: 2\na: 3", "m.yaml:3:1", "a: duplicate key: it stands in line 1 already"),
        ("a:\n  1: b", "m.yaml:2:3", "a: the key 1 is not text: put it in quotes"),
        ("? [a]\n: 1", "m.yaml:1:3", "a mapping or list as key is not text: put it in quotes"),
        ("a: 0123", "m.yaml:1:4", "a: 0123 starts with 0: leave it out, or use quotes"),
        ("a: " + "9" * 5000, "m.yaml:1:4", "a: a number of 5000 digits"),
        (
            "a: !!python/object:os.system x",
            "m.yaml:1:4",
            "a: the tag tag:yaml.org,2002:python/object:os.system means nothing here",
        ),
        ("a: [!x {}]", "m.yaml:1:5", "a[0]: the tag !x means nothing here"),
    ],
)
def test_what_is_refused_has_a_place(text: str, where: str, message: str) -> None:
    (problem,) = parse(text, FILE).problems
    assert problem.where(FILE) == where
    assert problem.message == message


def test_every_problem_is_told() -> None:
    file = parse("a: 1\na: 2\n1: x\n2: y\nb: 01", FILE)
    assert [problem.position.line for problem in file.problems] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "where", "part"),
    [
        ("a: 1\nb: [1,\nc: 2", "m.yaml:3:5", "expected ',' or ']'"),
        ("a: b: c", "m.yaml:1:5", "mapping values are not allowed here"),
        ("a:\n\tb: c", "m.yaml:2:1", "'\\t'"),
        ("a: x\nb: \x00", "m.yaml:2:4", "character U+0000"),
        ("a: &x 1\nb: *x", "m.yaml:2:4", "alias *x: write the value out"),
        ("a: 1\n---\nb: 1", "m.yaml:2:1", "another document"),
        ("[" * 5000, "m.yaml:1:1", "nested too deeply"),
        ("{a: " * 5000, "m.yaml:1:1", "nested too deeply"),
    ],
)
def test_malformed_yaml_has_line_and_column(text: str, where: str, part: str) -> None:
    with pytest.raises(MatrixError) as caught:
        parse(text, FILE)
    assert caught.value.where == where
    assert caught.value.problem.startswith("malformed YAML: ")
    assert part in caught.value.problem


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="cannot be read: No such file"):
        read(tmp_path / "matrix.yaml")
    with pytest.raises(MatrixError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes("a: é".encode("latin-1"))
    with pytest.raises(MatrixError, match="not UTF-8: byte 3 is 0xe9"):
        read(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read(path).content == {"a": 1}
