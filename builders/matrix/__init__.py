"""matrix.yaml: platforms, backends, models, tolerances; all that a user edits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from builders.errors import MatrixError
from builders.matrix import names as matrix_names
from builders.matrix import validation, yaml_file
from builders.matrix.model import (
    FIXTURE_FORMATS,
    PICKLES,
    KnownAnswer,
    Matryoshka,
    Model,
    ModelFile,
)
from builders.matrix.publication import Publications
from builders.matrix.release import Release
from builders.matrix.section import (
    ENGINE,
    PAGE,
    PREFIX,
    PROMPT,
    RULES,
    Format,
    Formats,
    Input,
    Name,
    Names,
    Platform,
    Platforms,
    Section,
    unrepeated,
)
from builders.matrix.trust import Identity, Trust
from builders.matrix.yaml_file import Location, Problem, YamlFile

__all__ = [
    "FIXTURE_FORMATS",
    "PICKLES",
    "PROMPT",
    "Backend",
    "Default",
    "Format",
    "Identity",
    "Input",
    "KnownAnswer",
    "Matrix",
    "Matryoshka",
    "Model",
    "ModelFile",
    "Platform",
    "Release",
    "Tolerance",
    "Trust",
    "load",
]


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
    refused_texts: Annotated[tuple[Name, ...], AfterValidator(unrepeated)] = ()
    """Texts of the corpus, by id, that it refuses because it would embed them wrongly: none has a
    vector, and that each is refused is a check."""
    not_for: Mapping[Name, str] = {}
    """Models that it cannot serve although it reads their format, each with the reason."""
    cross_backend: Mapping[Name, Tolerance] = {}
    """Gates against the anchor's vectors, by model, where its precision's own do not fit."""


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
    publication: Publications
    """Where passing images go: `oci:DIRECTORY`, an OCI image layout; `docker://HOST/NAME`, a
    registry; or a list of them."""
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
    accept_licences: Annotated[tuple[str, ...], AfterValidator(unrepeated)] = ()
    """SPDX identifiers of licences that are not open, under which images may be published."""
    trust: Trust = Field(default_factory=Trust)
    """Who may say that an image passed. Left out: nothing is signed, and nothing has to be."""
    release: Release = Field(default_factory=Release)
    """Which images are released, what they must be, and the tags that they get."""
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
