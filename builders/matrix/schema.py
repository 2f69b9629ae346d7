"""The JSON Schema of matrix.yaml, for editors: `python -m builders.matrix.schema` writes it."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from builders.matrix import Matrix
from builders.paths import ROOT

FILE = ROOT / "docs" / "matrix.schema.json"


def document() -> str:
    """Return the schema (JSON Schema 2020-12) as the text of its file.

    It says what one value may be. That names are defined where they must be, `matrix.load` checks.
    """
    schema = Matrix.model_json_schema(schema_generator=_Generator)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that only repeat names, and closes mappings whose keys are names."""

    def generate(
        self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation"
    ) -> JsonSchemaValue:
        generated = super().generate(schema, mode)
        return {"$schema": self.schema_dialect, **generated, "title": "Equivec's matrix.yaml"}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        generated = super().dict_schema(schema)
        if "patternProperties" in generated:
            generated["additionalProperties"] = False
        return generated


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
