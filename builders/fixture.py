"""The fixture models: real architectures with made-up weights, generated in seconds from nothing.

They let the whole matrix run on a bare machine, and make cross-backend parity a real statement:
every format of one model is written from the same numbers. Each byte is the same on every machine.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from builders import fixture_onnx, fixture_safetensors
from builders.errors import ModelError
from builders.fixture_architecture import Architecture
from builders.fixture_sentence_transformers import configuration
from builders.fixture_tokenizer import tokenizer_json
from builders.fixture_vocabulary import NATURAL
from builders.fixture_weights import weights

Format = Literal["onnx", "sentence-transformers"]


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """A fixture model and its recipe; every one's vectors are scaled to unit length."""

    name: str
    architecture: Architecture
    pooling: Literal["mean", "cls"]
    max_tokens: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    licence: str = "Apache-2.0"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.architecture.dimension


@dataclass(frozen=True, kw_only=True)
class SourceDigests:
    """What a vector space is made from, as matrix.yaml declares it: `sha256:<64 hex digits>`."""

    weights: str
    """Of model.safetensors, float32."""
    tokenizer: str
    """Of tokenizer.json."""


def names() -> tuple[str, ...]:
    """Return the names of all fixture models."""
    return tuple(_FIXTURES)


def fixture(name: str) -> Fixture:
    """Return the fixture of that name.

    Raises:
        ModelError: There is none.
    """
    if name not in _FIXTURES:
        near = difflib.get_close_matches(name, _FIXTURES, n=1)
        raise ModelError(
            f"there is no fixture model {name!r}",
            remedy=f"did you mean {near[0]}?" if near else f"choose from {', '.join(_FIXTURES)}",
        )
    return _FIXTURES[name]


def write(name: str, file_format: Format, directory: Path) -> None:
    """Write all files of one format, except model.json.

    A failure leaves what was written so far: write to a new directory and rename it.

    Args:
        name: The fixture model.
        file_format: Its format.
        directory: Where to; made if it is not there, and must be empty.

    Raises:
        ModelError: There is no such fixture, or the directory holds something.
    """
    chosen = fixture(name)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ModelError(
            "the directory for a fixture model is not empty",
            where=str(directory),
            remedy="give an empty or a new directory",
        )
    for path, content in _files(chosen, file_format).items():
        target = directory / path
        target.parent.mkdir(exist_ok=True)
        with target.open("wb") as file:
            file.writelines(content)


def source_digests(name: str) -> SourceDigests:
    """Return the digests that matrix.yaml declares for the fixture, computed from its numbers.

    Raises:
        ModelError: There is no such fixture.
    """
    chosen = fixture(name)
    safetensors = fixture_safetensors.chunks(weights(name, chosen.architecture))
    return SourceDigests(
        weights=_digest(safetensors),
        tokenizer=_digest([tokenizer_json(chosen.architecture.vocabulary)]),
    )


def _files(chosen: Fixture, file_format: Format) -> dict[str, Iterable[bytes | memoryview]]:
    """The content of each file of a format, by its path in the directory."""
    architecture = chosen.architecture
    numbers = weights(chosen.name, architecture)
    tokenizer = {"tokenizer.json": [tokenizer_json(architecture.vocabulary)]}
    match file_format:
        case "onnx":
            model = fixture_onnx.chunks(chosen.name, architecture, numbers)
            return {"model.onnx": model, **tokenizer}
        case "sentence-transformers":
            texts = configuration(
                architecture,
                pooling=chosen.pooling,
                max_tokens=chosen.max_tokens,
                prompts=chosen.prompts,
            )
            model = fixture_safetensors.chunks(numbers)
            return {
                "model.safetensors": model,
                **tokenizer,
                **{path: [text] for path, text in texts.items()},
            }


def _digest(content: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for chunk in content:
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


_NOMIC_PROMPTS = {
    "query": "search_query: ",
    "document": "search_document: ",
    "clustering": "clustering: ",
    "classification": "classification: ",
}

_FIXTURES = {
    model.name: model
    for model in (
        Fixture(
            name="fixture-768",
            architecture=Architecture(
                model_type="nomic_bert",
                dimension=768,
                layers=2,
                heads=12,
                feed_forward=256,
                vocabulary=NATURAL,
                positions=2048,
                mixing=5 / 8,
            ),
            pooling="mean",
            max_tokens=2048,
            prompts=_NOMIC_PROMPTS,
        ),
        Fixture(
            name="fixture-bert-384",
            architecture=Architecture(
                model_type="bert",
                dimension=384,
                layers=2,
                heads=6,
                feed_forward=768,
                vocabulary=NATURAL,
                positions=512,
                # The first token's vector is all that is served: it must hold much of the others.
                mixing=9 / 8,
            ),
            pooling="cls",
            max_tokens=512,
        ),
        # The shape of nomic-embed-text-v1.5, for benchmarks.
        Fixture(
            name="nomic-768-twin",
            architecture=Architecture(
                model_type="nomic_bert",
                dimension=768,
                layers=12,
                heads=12,
                feed_forward=3072,
                vocabulary=30528,
                positions=2048,
                mixing=5 / 8,
            ),
            pooling="mean",
            max_tokens=2048,
            prompts=_NOMIC_PROMPTS,
        ),
    )
}
