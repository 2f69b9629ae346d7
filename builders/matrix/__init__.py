"""matrix.yaml: platforms, backends, models, tolerances; all that a user edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from builders.errors import MatrixError
from builders.matrix import names as matrix_names
from builders.matrix import validation, yaml_file
from builders.matrix.spelling import suggestion
from builders.matrix.yaml_file import Location, Problem, YamlFile

Platform = Literal["linux/amd64", "linux/arm64", "darwin/arm64"]
Format = Literal["onnx", "sentence-transformers", "gguf"]

FORMATS_BY_SOURCE: Mapping[str, Mapping[str, tuple[Format, ...]]] = {
    "fixture": {
        "float32": ("onnx", "sentence-transformers", "gguf"),
        "float16": ("gguf",),
        "q8_0": ("gguf",),
    },
}
"""In which file formats a model can be had, by the kind of its source and its precision."""

NAME = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
PREFIX = r"^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
ENGINE = r"^(auto|private|(unix|tcp)://.+)$"
PUBLICATION = r"^oci:.+$"
SOURCE = r"^fixture:[a-z0-9]+([._-][a-z0-9]+)*$"
PROMPT = r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$"

RULES: Mapping[str, str] = {
    NAME: "must be lower-case letters and digits, with single '-', '.' or '_' between them",
    DIGEST: "must be sha256: and 64 lower-case hexadecimal digits",
    PREFIX: "must be an image name's beginning: equivec, or ghcr.io/owner/equivec",
    ENGINE: "must be auto, private, or the URL of an engine: unix:///run/docker.sock",
    PUBLICATION: "must be oci: and a directory",
    SOURCE: "must be fixture: and a fixture's name",
    PROMPT: "must be letters and digits, with single '-' or '_' between them",
}
"""What each pattern means, in words."""


def _unrepeated(names: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"names {', '.join(repeated)} more than once")
    return names


_LIST = (
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_unrepeated),
)

# A cell's id, `<backend>-<model>-<os>-<arch>`, has to fit the 128 characters of an image's tag.
Name = Annotated[str, Field(pattern=NAME, max_length=50)]
Names = Annotated[tuple[Name, ...], *_LIST]
Platforms = Annotated[tuple[Platform, ...], *_LIST]
Formats = Annotated[tuple[Format, ...], *_LIST]
Digest = Annotated[str, Field(pattern=DIGEST)]


class Section(BaseModel):
    """A mapping of matrix.yaml: frozen, without other keys or conversions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class PlatformOptions(Section):
    """A platform; it has no options yet."""


class Tolerance(Section):
    """What a container's vectors may differ from the reference vectors."""

    max_abs_difference: float = Field(gt=0)
    """The most by which any number of a vector may differ, as served."""
    distance: float = Field(gt=0, le=2)
    """The most that the Euclidean distance of two unit vectors may be."""
    overlap_at_10: float = Field(ge=0, le=1)
    """The least share of the ten nearest neighbours that must stay (1: all)."""


class Backend(Section):
    """A library that turns input into vectors: the folder of this name under images/."""

    title: str = Field(min_length=1)
    """Its name for people."""
    licence: str = Field(min_length=1)
    """Its SPDX licence expression."""
    formats: Formats
    """The model file formats it reads, the preferred one first."""
    platforms: Platforms
    """Where it runs."""
    budget_mb: float = Field(gt=0)
    """The most that an image may weigh, compressed and without its model, in 10^6 bytes."""
    cross_backend: Mapping[Name, Tolerance] = {}
    """Gates against the anchor's vectors, by model, where its precision's own do not fit."""


class Model(Section):
    """Weights, tokenizer and recipe."""

    source: str = Field(pattern=SOURCE)
    """Where it comes from: `fixture:NAME` is generated."""
    licence: str = Field(min_length=1)
    """Its SPDX licence expression."""
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
    pooling: Literal["mean", "cls"]
    """How the vectors of a text's tokens become one."""
    normalize: bool
    """Whether vectors are scaled to unit length."""
    dense_layers: bool = False
    """Whether dense layers follow the pooling (EmbeddingGemma): without them, another space."""
    prompts: Mapping[Annotated[str, Field(pattern=PROMPT)], str] = {}
    """What is put before a text, by the purpose of the vector."""
    default_prompt: str | None = None
    """The key of the prompt that a text gets which asks for none; null: no prompt."""

    @field_validator("precision")
    @classmethod
    def _is_to_be_had(cls, precision: str, info: ValidationInfo) -> str:
        if "source" not in info.data:
            return precision  # The source is wrong, and reported so.
        kind = _kind(info.data["source"])
        offered = FORMATS_BY_SOURCE[kind]
        if precision not in offered:
            near = suggestion(precision, offered)
            raise ValueError(f"a {kind} can be {', '.join(offered)}; is {precision!r}{near}")
        return precision

    @property
    def formats(self) -> tuple[Format, ...]:
        """The file formats in which the model can be had at its precision."""
        return FORMATS_BY_SOURCE[_kind(self.source)][self.precision]


class Default(Section):
    """Which cells run without being named. What is left out: every one."""

    backends: Names = Field(default_factory=tuple)
    """The backends whose cells run."""
    platforms: Platforms = Field(default_factory=tuple)
    """The platforms whose cells run."""
    models: Names = Field(default_factory=tuple)
    """The models whose cells run."""


class Matrix(Section):
    """What Equivec builds: every backend with every model for every platform."""

    epoch: int = Field(ge=0, lt=2**32)
    """The time of every file in every image, in seconds since 1970."""
    engine: str = Field(pattern=ENGINE)
    """The Docker engine: `auto`, `private`, or a URL."""
    publication: str = Field(pattern=PUBLICATION)
    """Where passing images go: `oci:DIRECTORY`, an OCI image layout."""
    prefix: str = Field(pattern=PREFIX, max_length=100)
    """The beginning of images' names: `<prefix>/<backend>-<model>`."""
    platforms: Annotated[Mapping[Platform, PlatformOptions], Field(min_length=1)]
    """The platforms there are: Linux ones get images, the others yield reference vectors."""
    tolerances: Annotated[Mapping[Name, Tolerance], Field(min_length=1)]
    """The gates of parity, by the precision of the weights."""
    backends: Annotated[Mapping[Name, Backend], Field(min_length=1)]
    """The backends there are."""
    anchor: Name | None = None
    """The backend whose float32 vectors all others of the same vector space are held against."""
    models: Annotated[Mapping[Name, Model], Field(min_length=1)]
    """The models there are."""
    default: Default = Field(default_factory=Default)
    """Which cells run without being named."""


def load(path: Path) -> Matrix:
    """Read and check matrix.yaml.

    Raises:
        MatrixError: With everything that is wrong: line, column, key path, value, and the nearest
            valid name of what is misspelt.
    """
    file = yaml_file.read(path)
    findings: list[tuple[Location, str]] = []
    try:
        matrix = Matrix.model_validate(file.content)
    except ValidationError as error:
        matrix = None
        findings.extend(validation.findings(error, Matrix, RULES))
    findings.extend(matrix_names.findings(file.content))
    problems = (*file.problems, *_problems(file, findings))
    if matrix is None or problems:
        raise _error(path, problems)
    return matrix


def _kind(source: str) -> str:
    return source.partition(":")[0]


def _problems(file: YamlFile, findings: Sequence[tuple[Location, str]]) -> Iterator[Problem]:
    """Give findings their positions; only the first of a place counts: it explains the others."""
    seen = {problem.location for problem in file.problems}
    for location, text in findings:
        if location not in seen:
            yield Problem(location=location, position=file.position(location), text=text)
        seen.add(location)


def _error(path: Path, problems: Sequence[Problem]) -> MatrixError:
    remedy = "correct it; docs/matrix.md explains every key"
    if len(problems) == 1:
        return MatrixError(problems[0].message, where=problems[0].where(path), remedy=remedy)
    lines = [
        f"\n  {problem.where(path)}: {problem.message}"
        for problem in sorted(problems, key=lambda problem: problem.position)
    ]
    return MatrixError(f"{len(lines)} problems{''.join(lines)}", where=str(path), remedy=remedy)
