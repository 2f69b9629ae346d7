"""matrix.yaml: platforms, backends, models, tolerances; all that a user edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

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
Format = Literal["onnx", "sentence-transformers", "gguf", "transformers", "remote-code", "openai"]
"""What a backend reads: a file or directory of weights, or (`openai`) the address of an API."""

Input = Literal["text", "image"]

FIXTURE_FORMATS: Mapping[str, tuple[Format, ...]] = {
    "float32": ("onnx", "sentence-transformers", "gguf"),
    "float16": ("gguf",),
    "q8_0": ("gguf",),
}
"""In which file formats a text fixture is made, by its precision."""

PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
"""How the names of files end that Python runs as a program when it loads them."""

NAME = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
PREFIX = r"^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
ENGINE = r"^(auto|private|(unix|tcp)://.+)$"
PUBLICATION = r"^oci:.+$"
SOURCE = (
    r"^(fixture:[a-z0-9]+([._-][a-z0-9]+)*"
    r"|hub:[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*@[0-9a-f]{40}"
    r"|file:.+|openai:.+)$"
)
REPOSITORY = r"^hub:[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*@[0-9a-f]{40}$"
FILE = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
SHA256 = r"^[0-9a-f]{64}$"
PROMPT = r"^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$"
PAGE = r"^(https?|file)://\S+$"

RULES: Mapping[str, str] = {
    NAME: "must be lower-case letters and digits, with single '-', '.' or '_' between them",
    DIGEST: "must be sha256: and 64 lower-case hexadecimal digits",
    PREFIX: "must be an image name's beginning: equivec, or ghcr.io/owner/equivec",
    ENGINE: "must be auto, private, or the URL of an engine: unix:///run/docker.sock",
    PUBLICATION: "must be oci: and a directory",
    SOURCE: "must be fixture:NAME, hub:OWNER/NAME@COMMIT (40 hexadecimal digits: a branch moves),"
    " file:DIRECTORY, or openai:MODEL",
    REPOSITORY: "must be hub:OWNER/NAME@COMMIT (40 hexadecimal digits: a branch moves)",
    FILE: "must be the name of a file: letters, digits, '.', '_', '-', and '/' between folders",
    SHA256: "must be 64 lower-case hexadecimal digits",
    PROMPT: "must be letters and digits, with single '-' or '_' between them",
    PAGE: "must be the URL of a page that links to wheels: https://HOST/PATH",
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
Inputs = Annotated[tuple[Input, ...], *_LIST]
Digest = Annotated[str, Field(pattern=DIGEST)]


def _formats(data: Mapping[str, Any]) -> tuple[Format, ...]:
    """Return the formats of a text fixture of the precision; of other sources, none is known."""
    return FIXTURE_FORMATS[data["precision"]] if _is_fixture(data["source"]) else ()


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
    refused: Platforms = ()
    """Where its locks are expected to refuse it: it does not fail the run, and the run says when
    it has become possible."""
    versions_may_differ: Names = Field(default_factory=tuple)
    """The packages that decide its vectors, and may be of other versions in a container than on the
    host whose vectors it is held against; the verdict names both."""
    refused_texts: Annotated[tuple[Name, ...], AfterValidator(_unrepeated)] = ()
    """Texts of the corpus, by id, that it refuses because it would embed them wrongly: none has a
    vector, and that each is refused is a check."""
    not_for: Mapping[Name, str] = {}
    """Models that it cannot serve although it reads their format, each with the reason."""
    cross_backend: Mapping[Name, Tolerance] = {}
    """Gates against the anchor's vectors, by model, where its precision's own do not fit."""


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


class Model(Section):
    """Weights, tokenizer and recipe."""

    source: str = Field(pattern=SOURCE)
    """Where it comes from: `fixture:NAME` is generated, `hub:OWNER/NAME@COMMIT` is fetched by
    `nox -s fetch`, `file:DIRECTORY` is there, `openai:MODEL` is served by an API."""
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
    find_links: Mapping[Name, Annotated[str, Field(pattern=PAGE)]] = {}
    """Where wheels of a project are that the places configured for pip do not have: a page of links
    to them, by the project's name. It is asked for nothing else."""
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
    accept_licences: Annotated[tuple[str, ...], AfterValidator(_unrepeated)] = ()
    """SPDX identifiers of licences that are not open, under which images may be published."""
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


def _is_fixture(source: str) -> bool:
    return source.startswith("fixture:")


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
