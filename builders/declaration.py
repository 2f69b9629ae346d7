"""What matrix.yaml declares a model to be made of, held against what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from builders.errors import ModelError
from builders.matrix import Model

PREPROCESSOR = "preprocessor_config.json"
"""The file that says how images become numbers."""

Part = Literal["weights", "tokenizer", "preprocessor"]


def check(name: str, model: Model, found: Mapping[Part, str]) -> None:
    """Compare the parts of a model that name its vector space.

    Args:
        name: The model's key in matrix.yaml.
        model: Its entry.
        found: The digest (`sha256:…`) of each part that is there. One that the entry does not
            declare is not compared.

    Raises:
        ModelError: A part is another one than declared, or the declared preprocessor is not there.
    """
    if model.preprocessor is not None and "preprocessor" not in found:
        raise ModelError(
            f"it has no {PREPROCESSOR}",
            where=f"matrix.yaml: models.{name}",
            remedy=f"list it under `files`, or leave out `preprocessor`: {model.preprocessor}",
        )
    declared = {
        "weights": model.weights,
        "tokenizer": model.tokenizer,
        "preprocessor": model.preprocessor,
    }
    for part, digest in found.items():
        if declared[part] not in (None, digest):
            raise ModelError(
                f"its {part} {'are' if part == 'weights' else 'is'} {digest}",
                where=f"matrix.yaml: models.{name}",
                remedy="declare it, if the change is meant: it is another vector space then",
            )
