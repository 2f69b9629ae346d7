from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from builders.matrix import schema

ROOT = Path(__file__).parents[2]


@pytest.fixture
def validator() -> Draft202012Validator:
    document = json.loads(schema.FILE.read_text())
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


@pytest.fixture
def content() -> Any:
    return yaml.safe_load((ROOT / "matrix.yaml").read_text())


def test_the_committed_schema_is_current() -> None:
    assert schema.FILE.read_text() == schema.document(), "run `python -m builders.matrix.schema`"


def test_the_committed_matrix_fits_the_schema(
    validator: Draft202012Validator, content: Any
) -> None:
    assert [error.message for error in validator.iter_errors(content)] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("dimenson",), 1),
        (("platforms", "linux/amd46"), {}),
        (("backends", "Bad Name"), {}),
        (("backends", "onnxruntime", "formats"), ["onx"]),
        (("backends", "onnxruntime", "platforms"), ["linux/amd64", "linux/amd64"]),
        (("backends", "onnxruntime", "budget_mb"), -1),
        (("models", "fixture-768", "dimension"), "768"),
        (("models", "fixture-768", "poling"), "mean"),
        (("models", "fixture-768", "weights"), "sha256:0"),
        (("models", "fixture-768", "prompts", ""), "x"),
        (("default", "models"), []),
    ],
)
def test_an_editor_sees_what_is_wrong(
    validator: Draft202012Validator, content: Any, place: tuple[str, ...], value: object
) -> None:
    *way, last = place
    section = content
    for key in way:
        section = section[key]
    section[last] = value
    assert not validator.is_valid(content)


def test_every_key_has_a_description() -> None:
    document = json.loads(schema.document())
    for section in (document, *document["$defs"].values()):
        for key, value in section["properties"].items():
            assert value["description"], key
            assert value.get("title") is None
