"""The models of matrix.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from builders.matrix.section import (
    FILE,
    PROMPT,
    REPOSITORY,
    SHA256,
    SOURCE,
    Digest,
    Format,
    Formats,
    Inputs,
    Name,
    Section,
    unrepeated,
)
from builders.matrix.spelling import suggestion

FIXTURE_FORMATS: Mapping[str, tuple[Format, ...]] = {
    "float32": ("onnx", "sentence-transformers", "gguf"),
    "float16": ("gguf",),
    "q8_0": ("gguf",),
}
"""In which file formats a text fixture is made, by its precision."""

PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
"""How the names of files end that Python runs as a program when it loads them."""


def _formats(data: Mapping[str, Any]) -> tuple[Format, ...]:
    """Return the formats of a text fixture of the precision; of other sources, none is known."""
    return FIXTURE_FORMATS[data["precision"]] if _is_fixture(data["source"]) else ()


class KnownAnswer(Section):
    """A vector that somebody else has published: the first of its numbers."""

    published: str = Field(min_length=1)
    """Who published it, and where."""
    text: str = Field(min_length=1)
    """The whole text, with the prefix that it had."""
    values: Annotated[tuple[float, ...], Field(min_length=3)]
    """The first numbers of the vector, as they were published."""
    length: Annotated[float, Field(gt=0)] | None = 1.0
    """The Euclidean length of the published vector, of all its numbers; null: unknown, and only
    the proportions of `values` to each other are compared."""
    tolerance: float = Field(gt=0, lt=1)
    """The most by which a number may differ, after both vectors are scaled to unit length."""


class ModelFile(Section):
    """A file of a model that is fetched. What is not known is left out: a fetch completes it."""

    sha256: str | None = Field(default=None, pattern=SHA256)
    """Of its content; where left out, the first fetch pins it in the model's lock, and says so."""
    size: int | None = Field(default=None, ge=0)
    """In bytes."""
    path: str | None = Field(default=None, pattern=FILE)
    """Where it is in its repository or directory, if not under its own name."""
    source: str | None = Field(default=None, pattern=REPOSITORY)
    """The repository that it comes from, if not the model's."""


class Matryoshka(Section):
    """How a model's vectors may be shortened: to their first numbers, then to unit length."""

    dimensions: Annotated[
        tuple[Annotated[int, Field(gt=0)], ...],
        Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        AfterValidator(unrepeated),
    ]
    """How long they may be, each shorter than the model's own."""
    layer_norm: bool = False
    """Whether a layer normalisation comes first (nomic-embed-text-v1.5)."""


class Model(Section):
    """Weights, tokenizer and recipe."""

    source: str = Field(pattern=SOURCE)
    """Where it comes from: `fixture:NAME` is generated, `hub:OWNER/NAME@COMMIT` is fetched by
    `nox -s fetch`, `file:DIRECTORY` is there, `openai:MODEL` is served by an API."""
    licence: str = Field(min_length=1)
    """Its SPDX licence expression."""
    citation: str | None = Field(default=None, min_length=1)
    """How its authors want it to be cited, in a line."""
    dimension: int = Field(gt=0)
    """How many numbers a vector has."""
    max_tokens: int = Field(gt=0)
    """The longest text, in tokens; a longer one is refused."""
    precision: Name
    """The precision of the weights: a key of `tolerances` (float32, float16, q8_0)."""
    weights: Digest
    """Digest of the source weights, whatever file format is made of them."""
    tokenizer: Digest
    """Digest of tokenizer.json."""
    preprocessor: Digest | None = None
    """Digest of preprocessor_config.json, by which images become numbers. Left out where the images
    share the space of another model's texts."""
    formats: Formats = Field(default_factory=_formats, validate_default=True)
    """The file formats in which it can be had; of a text fixture: those it is made in."""
    files: Mapping[Annotated[str, Field(pattern=FILE)], ModelFile] = Field(
        default={}, validate_default=True
    )
    """What is fetched, by its name in the directory that a backend loads; where a format's own file
    is not among them (`model.onnx`, `model.gguf`), it is converted from model.safetensors."""
    inputs: Inputs = ("text",)
    """What it makes vectors of."""
    pooling: Literal["mean", "cls", "model"]
    """How the vectors of a text's tokens become one; `model`: by a part of the model itself."""
    normalize: bool
    """Whether vectors are scaled to unit length."""
    dense_layers: bool = False
    """Whether dense layers follow the pooling (EmbeddingGemma): without them, another space."""
    prompts: Mapping[Annotated[str, Field(pattern=PROMPT)], str] = {}
    """What is put before a text, by the purpose of the vector."""
    default_prompt: str | None = None
    """The key of the prompt that a text gets which asks for none; null: no prompt."""
    matryoshka: Matryoshka | None = None
    """How its vectors may be shortened; left out: not at all."""
    known_answers: Mapping[Name, KnownAnswer] = {}
    """Vectors that others have published of these weights, by a name: containers must agree."""

    @field_validator("precision")
    @classmethod
    def _is_to_be_had(cls, precision: str, info: ValidationInfo) -> str:
        if _is_fixture(info.data.get("source", "")) and precision not in FIXTURE_FORMATS:
            near = suggestion(precision, FIXTURE_FORMATS)
            known = ", ".join(FIXTURE_FORMATS)
            raise ValueError(f"a fixture can be {known}; is {precision!r}{near}")
        return precision

    @field_validator("formats", mode="before")
    @classmethod
    def _are_known(cls, formats: object) -> object:
        if formats == ():
            raise ValueError("missing: only those of a fixture are known without it")
        return formats

    @field_validator("files")
    @classmethod
    def _are_to_be_fetched(
        cls, files: Mapping[str, ModelFile], info: ValidationInfo
    ) -> Mapping[str, ModelFile]:
        is_fetched = info.data.get("source", "").startswith(("hub:", "file:"))
        if pickles := [name for name in files if name.endswith(PICKLES)]:
            raise ValueError(
                f"{', '.join(pickles)}: a pickle may run any program; use the model's safetensors"
            )
        if files and not is_fetched:
            raise ValueError("only a hub: or file: source has files that are fetched")
        if is_fetched and not files:
            raise ValueError("missing: it says which files are fetched")
        return files

    @field_validator("matryoshka")
    @classmethod
    def _are_shorter(cls, shorter: Matryoshka | None, info: ValidationInfo) -> Matryoshka | None:
        dimension = info.data.get("dimension")
        if shorter and dimension and max(shorter.dimensions) >= dimension:
            raise ValueError(f"{max(shorter.dimensions)} is not shorter than {dimension}")
        return shorter

    @field_validator("inputs")
    @classmethod
    def _are_preprocessed(cls, inputs: Inputs, info: ValidationInfo) -> Inputs:
        if info.data.get("preprocessor") and "image" not in inputs:
            raise ValueError("a preprocessor is of images: this model takes none")
        return inputs

    @field_validator("known_answers")
    @classmethod
    def _can_be_asked(
        cls, answers: Mapping[str, KnownAnswer], info: ValidationInfo
    ) -> Mapping[str, KnownAnswer]:
        prompts, default = info.data.get("prompts", {}), info.data.get("default_prompt")
        prefix = prompts.get(default, "")
        if answers and "text" not in info.data.get("inputs", ("text",)):
            raise ValueError("known answers are of texts: this model takes none")
        for name, answer in answers.items():
            if not answer.text.startswith(prefix):
                raise ValueError(f"the text of {name} lacks the default prompt, {prefix!r}")
            if len(answer.values) > info.data.get("dimension", len(answer.values)):
                raise ValueError(f"{name} has more values than a vector has numbers")
            if not any(answer.values):
                raise ValueError(f"the values of {name} are all 0")
        return answers


def _is_fixture(source: str) -> bool:
    return source.startswith("fixture:")
