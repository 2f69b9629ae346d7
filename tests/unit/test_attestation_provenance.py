"""Provenance: every input by digest, and what built; nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders.attestation import provenance
from builders.attestation.statement import Kind, Statement
from builders.errors import SigningError
from builders.source import Source
from builders.verdict import Verdict
from tests.unit import attested

JUDGED = attested.verdict()
STATEMENT = attested.statement(JUDGED, Kind.PROVENANCE)


def test_it_says_what_was_asked_for_and_how_it_was_built() -> None:
    predicate = provenance.predicate(JUDGED)
    definition, details = predicate["buildDefinition"], predicate["runDetails"]

    assert definition["buildType"] == "https://equivec.io/build/v1"
    assert definition["externalParameters"] == {
        "image": "equivec/onnxruntime-fixture-768",
        "backend": "onnxruntime",
        "model": "fixture-768",
        "platform": "linux/arm64",
        "source": {
            "revision": attested.REVISION,
            "clean": True,
            "repository": "https://git.example/equivec.git",
        },
    }
    assert definition["internalParameters"] == {
        "epoch": 1704067200,
        "buildPlatform": JUDGED.environment.build_platform,
        "network": "none",
        "locks": {
            "debian": attested.sha("8"),
            "wheels": attested.sha("9"),
            "model": attested.sha("f"),
        },
        "drift": [],
    }
    assert details["builder"] == {
        "id": "https://equivec.io/builder/v1",
        "version": {"equivec": attested.sha("6"), "kind": "private", "buildkit": "0.1"},
    }
    assert details["metadata"] == {"finishedOn": JUDGED.finished}
    assert [each["digest"]["sha256"][0] for each in details["byproducts"]] == ["3", "4", "5"]


def test_every_input_is_named_by_what_was_fetched() -> None:
    inputs = {
        each["name"]: (each.get("uri"), *each["digest"].items(), each["annotations"]["kind"])
        for each in provenance.predicate(JUDGED)["buildDefinition"]["resolvedDependencies"]
    }

    assert inputs == {
        "source": (
            f"git+https://git.example/equivec.git@{attested.REVISION}",
            ("gitCommit", attested.REVISION),
            "source",
        ),
        "libc6 2.36-9": (
            "pkg:deb/debian/libc6@2.36-9?arch=arm64&distro=bookworm",
            ("sha256", "a" * 64),
            "Debian package",
        ),
        "numpy 2.0.0": ("pkg:pypi/numpy@2.0.0", ("sha256", "b" * 64), "Python wheel"),
        "compiled 1.0": ("pkg:pypi/compiled@1.0", ("sha256", "e" * 64), "source archive"),
        "fixture-768": ("pkg:huggingface/owner/name@0123", ("sha256", "f" * 64), "model"),
        "matrix.yaml": (None, ("sha256", "0" * 64), "file of the checkout"),
    }


def test_a_built_wheel_is_named_beside_its_source() -> None:
    listed = provenance.predicate(JUDGED)["buildDefinition"]["resolvedDependencies"]
    (built,) = (each for each in listed if each["name"] == "compiled 1.0")
    assert built["annotations"]["wheel"] == attested.sha("d")


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        (Source(revision="6" * 40, clean=True), f"git@{'6' * 40}"),
        (Source(revision="6" * 40, clean=False), f"git@{'6' * 40}"),
        (Source(), None),
    ],
)
def test_an_unknown_or_changed_checkout_is_said_to_be_one(source: Source, uri: str | None) -> None:
    predicate = provenance.predicate(JUDGED.model_copy(update={"source": source}))
    found = [
        (each["uri"], each["annotations"]["clean"])
        for each in predicate["buildDefinition"]["resolvedDependencies"]
        if each["name"] == "source"
    ]

    assert found == ([] if uri is None else [(uri, str(source.clean).lower())])
    stated = predicate["buildDefinition"]["externalParameters"]["source"]
    assert stated["clean"] is source.clean


@pytest.mark.parametrize(
    ("place", "uri"), [("fixture:fixture-768", "fixture:fixture-768"), ("file:/home/a/b", None)]
)
def test_a_model_on_somebody_s_disk_has_no_place(place: str, uri: str | None) -> None:
    components = tuple(replace(each, version=place) for each in JUDGED.components[3:4])
    predicate = provenance.predicate(JUDGED.model_copy(update={"components": components}))
    (model,) = (
        each
        for each in predicate["buildDefinition"]["resolvedDependencies"]
        if each["name"] == "fixture-768"
    )
    assert model.get("uri") == uri


def test_what_is_written_is_read() -> None:
    travelled = replace(STATEMENT, predicate=attested.read_again(STATEMENT.predicate))
    found = provenance.provenance_of(travelled)

    assert found.files == {"matrix.yaml": "0" * 64}
    assert found.build_definition.external_parameters.source == attested.SOURCE
    assert found.build_definition.internal_parameters.epoch == 1704067200
    assert found.model_dump(mode="json", by_alias=True, exclude_none=True) == travelled.predicate


def other_type(judged: Verdict) -> Statement:
    statement = attested.statement(judged, Kind.PROVENANCE)
    predicate = attested.read_again(statement.predicate)
    predicate["buildDefinition"]["buildType"] = "https://example.com/build"
    return replace(statement, predicate=predicate)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (attested.statement(JUDGED), "a test-result is no provenance"),
        (replace(STATEMENT, predicate={}), "malformed"),
        (other_type(JUDGED), "built as https://example.com/build"),
    ],
)
def test_what_is_no_such_provenance_is_refused(statement: Statement, problem: str) -> None:
    with pytest.raises(SigningError, match=problem):
        provenance.provenance_of(statement)
