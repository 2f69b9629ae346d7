"""The machine-readable statement of every check on one image."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builders.check import Check
from builders.errors import PublicationError
from builders.files import write_atomically
from builders.inventory import cyclonedx
from builders.inventory.component import Component
from builders.source import Source
from builders.store import Store

SCHEMA_VERSION = 1

_KEPT = "verdict.json"


class _Statement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Subject(_Statement):
    """The image that was judged."""

    name: str = Field(description="<prefix>/<backend>-<model>")
    platform: str
    digest: str = Field(description="sha256 of the platform manifest: the image's identity")
    config_digest: str
    diff_ids: tuple[str, ...] = Field(description="sha256 of each uncompressed layer")
    compressed_bytes: int
    compressed_bytes_without_model: int


class Inputs(_Statement):
    """What the image was made from, by digest."""

    debian_lock: str
    drift: tuple[str, ...] = Field(
        description="Debian packages that differ from the committed lock, and their versions"
    )
    wheel_lock: str
    built_wheels: dict[str, str] = Field(
        description="sha256 of each wheel that was built from source, by file name"
    )
    model: str
    epoch: int
    corpus: str
    suite: str = Field(description="digest of the smoke tests, the audit and the comparison")
    files: dict[str, str] = Field(
        default_factory=dict,
        description="sha256 of each file of the checkout that it is made from, by path: set anew"
        " whenever the verdict is written",
    )


class Environment(_Statement):
    """Where it was built and judged."""

    host: str = Field(description="the host's platform")
    cpu: str
    build_platform: str
    engine: dict[str, str] = Field(description="kind and versions of the engine's parts")
    builder: dict[str, str] = Field(
        default_factory=dict, description="kind and versions of the engine that built the image"
    )
    execution: Literal["native", "emulated"]
    reference: str = Field(
        default="", description="backend and model that made the reference vectors on the host"
    )
    upstream: str | None = Field(
        default=None, description="digest of the image that answered in the place of an API"
    )


class Verdict(_Statement):
    """Every check on one image digest, with figures and limits."""

    schema_version: Literal[1] = 1
    cell: str
    backend: str
    model: str
    vector_space: str
    precision: str
    dimension: int
    passed: bool
    subject: Subject
    inputs: Inputs
    source: Source = Field(
        default=Source(),
        description="the revision that the run worked from: set anew whenever it is written",
    )
    environment: Environment
    components: tuple[Component, ...] = Field(description="what the image is made of")
    checks: tuple[Check, ...]
    seconds: dict[str, float] = Field(description="how long each stage took")
    finished: str = Field(description="UTC time, RFC 3339")

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def releasable(self) -> bool:
        """Whether the image may be released: it passed, and is what its locks say."""
        return self.passed and not self.inputs.drift


def write(verdict: Verdict, directory: Path) -> Path:
    """Write a verdict as `<cell>.json`, and return where."""
    path = directory / f"{verdict.cell}.json"
    write_atomically(path, verdict.model_dump_json(indent=2).encode() + b"\n")
    return path


def sbom(verdict: Verdict) -> str:
    """Return the SBOM of the image that was judged."""
    return cyclonedx.sbom(
        verdict.subject.name,
        verdict.subject.digest,
        verdict.components,
        epoch=verdict.inputs.epoch,
    )


def write_sbom(verdict: Verdict, text: str, directory: Path) -> Path:
    """Write the SBOM of the image that was judged as `<cell>.cdx.json`, and return where."""
    path = directory / f"{verdict.cell}.cdx.json"
    write_atomically(path, text.encode())
    return path


def keep(verdict: Verdict, store: Store, key: str) -> None:
    """Keep a passing verdict under the digest of all that it depends on, for later runs."""
    if verdict.passed:
        store.derived(
            "verdicts", key.removeprefix("sha256:"), lambda place: _write_kept(verdict, place)
        )


def find(store: Store, key: str) -> Verdict | None:
    """Return the passing verdict that was kept under a key; None if there is none."""
    path = store.cache / "derived" / "verdicts" / key.removeprefix("sha256:") / _KEPT
    return read(path) if path.exists() else None


def _write_kept(verdict: Verdict, directory: Path) -> None:
    (directory / _KEPT).write_text(verdict.model_dump_json(), encoding="utf-8")


def read(path: Path) -> Verdict:
    """Read a verdict.

    Raises:
        PublicationError: It is not one.
    """
    try:
        return Verdict.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise PublicationError(
            f"not a verdict of schema version {SCHEMA_VERSION}: {error}",
            where=str(path),
            remedy="build the cell again",
        ) from error
