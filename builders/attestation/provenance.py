"""Provenance in the form of SLSA v1: what an image was made from, by digest, and what made it.

https://slsa.dev/spec/v1.0/provenance; the build type is described in docs/attestations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from builders.attestation.statement import Kind, Statement
from builders.errors import SigningError
from builders.inventory.component import Component
from builders.inventory.component import Kind as Part
from builders.source import Source
from builders.verdict import Verdict

BUILD_TYPE = "https://equivec.io/build/v1"
BUILDER = "https://equivec.io/builder/v1"

FILE = "file of the checkout"
"""The kind of an input that lies in the source repository; the others were fetched."""

_HUB, _LOCAL = "hub:", "file:"
_LOCKED = (Part.DEBIAN, Part.WHEEL, Part.MODEL)
"""What is fetched by its sha256; the other parts of an image are files of the checkout."""


class _Part(BaseModel):
    """A part of the predicate; fields that are not known here are left aside, as SLSA asks."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Resource(_Part):
    """An input or a result, by digest (in-toto's ResourceDescriptor)."""

    name: str
    uri: str | None = None
    digest: dict[str, str]
    annotations: dict[str, str] = {}


class External(_Part):
    """What was asked for: `nox -s build-matrix -- --backend B --model M --platform P`."""

    image: str
    backend: str
    model: str
    platform: str
    source: Source


class Locks(_Part):
    """The digests that the image's labels `io.equivec.lock.*` bear."""

    debian: str
    wheels: str
    model: str


class Internal(_Part):
    """What the builder added: nothing of it is for the user to choose."""

    epoch: int
    build_platform: str
    network: str = "none"
    locks: Locks
    drift: tuple[str, ...]


class Definition(_Part):
    """The inputs of the build."""

    build_type: str
    external_parameters: External
    internal_parameters: Internal
    resolved_dependencies: tuple[Resource, ...]


class Builder(_Part):
    """Who built: Equivec, by the digest of its code, on an engine whose parts have versions."""

    id: str
    version: dict[str, str]


class Metadata(_Part):
    """When: the time of the verdict, which comes after the build."""

    finished_on: str


class Details(_Part):
    """This run of the build; its by-products are configuration and uncompressed layers."""

    builder: Builder
    metadata: Metadata
    byproducts: tuple[Resource, ...]


class Provenance(_Part):
    """The predicate."""

    build_definition: Definition
    run_details: Details

    @property
    def files(self) -> Mapping[str, str]:
        """The sha256 of each file of the checkout that the image was made from, by its path."""
        return {
            resource.name: resource.digest["sha256"]
            for resource in self.build_definition.resolved_dependencies
            if resource.annotations.get("kind") == FILE
        }


def predicate(verdict: Verdict) -> Mapping[str, Any]:
    """Return the provenance of an image.

    All of it is in the verdict: whoever has both can tell whether they agree.
    """
    return _provenance(verdict).model_dump(mode="json", by_alias=True, exclude_none=True)


def provenance_of(statement: Statement) -> Provenance:
    """Return the provenance that a statement holds.

    Raises:
        SigningError: It holds none, or one of another build type.
    """
    if statement.kind is not Kind.PROVENANCE:
        raise SigningError(f"a {statement.kind.word} is no provenance", where=statement.digest)
    try:
        found = Provenance.model_validate(statement.predicate)
    except ValidationError as error:
        raise SigningError(
            f"its provenance is malformed: {error}", where=statement.digest
        ) from error
    if found.build_definition.build_type != BUILD_TYPE:
        raise SigningError(
            f"it was built as {found.build_definition.build_type}, not as {BUILD_TYPE}",
            where=statement.digest,
        )
    return found


def _provenance(verdict: Verdict) -> Provenance:
    environment = verdict.environment
    return Provenance(
        build_definition=Definition(
            build_type=BUILD_TYPE,
            external_parameters=External(
                image=verdict.subject.name,
                backend=verdict.backend,
                model=verdict.model,
                platform=verdict.subject.platform,
                source=verdict.source,
            ),
            internal_parameters=Internal(
                epoch=verdict.inputs.epoch,
                build_platform=environment.build_platform,
                locks=Locks(
                    debian=verdict.inputs.debian_lock,
                    wheels=verdict.inputs.wheel_lock,
                    model=verdict.inputs.model,
                ),
                drift=verdict.inputs.drift,
            ),
            resolved_dependencies=tuple(_inputs(verdict)),
        ),
        run_details=Details(
            builder=Builder(
                id=BUILDER, version={"equivec": verdict.inputs.suite, **environment.builder}
            ),
            metadata=Metadata(finished_on=verdict.finished),
            byproducts=(
                _result("configuration", "configuration", verdict.subject.config_digest),
                *(
                    _result("layer", f"layer {number}", diff_id)
                    for number, diff_id in enumerate(verdict.subject.diff_ids)
                ),
            ),
        ),
    )


def _inputs(verdict: Verdict) -> Iterator[Resource]:
    """Yield the source, what was fetched by digest, and the checkout's own files."""
    if verdict.source.revision is not None:
        yield _source(verdict.source, verdict.source.revision)
    for component in verdict.components:
        if component.kind in _LOCKED:
            yield _component(component)
    for path, sha256 in verdict.inputs.files.items():
        yield Resource(name=path, digest={"sha256": sha256}, annotations={"kind": FILE})


def _source(source: Source, revision: str) -> Resource:
    repository = f"git+{source.repository}" if source.repository else "git"
    return Resource(
        uri=f"{repository}@{revision}",
        name="source",
        digest={"gitCommit": revision},
        annotations={"kind": "source", "clean": str(source.clean).lower()},
    )


def _component(component: Component) -> Resource:
    """Return what a component was fetched as: of one that is compiled here, its source archive."""
    if component.kind is Part.MODEL:
        return Resource(
            name=component.name,
            uri=_model_uri(component.version),
            digest={"sha256": component.sha256},
            annotations={"kind": component.kind},
        )
    if component.source:
        return Resource(
            name=f"{component.name} {component.version}",
            uri=component.purl,
            digest={"sha256": component.source},
            annotations={"kind": "source archive", "wheel": f"sha256:{component.sha256}"},
        )
    return Resource(
        name=f"{component.name} {component.version}",
        uri=component.purl,
        digest={"sha256": component.sha256},
        annotations={"kind": component.kind},
    )


def _model_uri(source: str) -> str | None:
    """Return where a model comes from: a place on the user's disk is nobody else's business."""
    if source.startswith(_HUB):
        return f"pkg:huggingface/{source.removeprefix(_HUB)}"
    return None if source.startswith(_LOCAL) else source


def _result(kind: str, name: str, digest: str) -> Resource:
    """Return a part of the image, by which a rebuild elsewhere compares with it."""
    sha256 = digest.removeprefix("sha256:")
    return Resource(name=name, digest={"sha256": sha256}, annotations={"kind": kind})
