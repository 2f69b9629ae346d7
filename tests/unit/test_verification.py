"""Verification of what is published: each lie about it is found, and nothing else is."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.attestation.statement import Attestation, Kind
from builders.errors import SigningError, VerifyError
from builders.formats.layout import blob_path
from builders.formats.oci import INDEX
from builders.report import terminal
from builders.verdict import Verdict
from builders.verification import page
from builders.verification.answer import Report, Result
from builders.verification.examination import examine
from builders.verification.published import Published, platforms
from builders.verification.stated import Trusted
from tests.unit import published_images
from tests.unit.published_images import NAME, Publication, of, of_index, publish
from tests.unit.test_outcome import DISTANCE, WIDE

AMD64, ARM64 = published_images.PLATFORMS


def refuse(*_: Attestation | bytes | str) -> str:
    raise SigningError("signed by somebody else")


NOBODY = Trusted(who=(), verify=refuse, signature=refuse)


@pytest.fixture
def made(tmp_path: Path) -> Publication:
    return publish(tmp_path)


def asked(published: Published, trusted: Trusted = NOBODY) -> Report:
    return examine(published, trusted, note=lambda _: None)


def wrong(report: Report) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return what is wrong: the words and details, by what was examined and the question."""
    return {
        (examined.title, answer.what): (answer.text, *answer.details)
        for examined in report.examined
        for answer in examined.answers
        if answer.result is Result.WRONG
    }


def text(report: Report) -> str:
    stream = io.StringIO()
    page.show(report, terminal.console(stream, {}))
    return stream.getvalue()


def restate(made: Publication, platform: str, kind: Kind, change: Callable[[Any], None]) -> None:
    """Change what is stated of a platform's image."""
    statement = made.stated(made.verdicts[platform].subject.digest, kind)
    predicate = json.loads(json.dumps(statement.predicate))
    change(predicate)
    made.state(replace(statement, predicate=predicate))


def judge(made: Publication, platform: str, changed: Verdict) -> None:
    """State another verdict of a platform's image, and all that follows from it."""
    digest = made.verdicts[platform].subject.digest
    for statement in of(changed):
        made.state(replace(statement, digest=digest))


def test_what_is_published_is_what_is_said_of_it(made: Publication) -> None:
    report = asked(made.published)

    assert wrong(report) == {}
    assert [each.title for each in report.examined] == ["index", AMD64, ARM64]
    assert [answer.what for answer in report.examined[1].answers] == [
        *("content", "test-result", "provenance", "sbom")
    ]
    assert report.image == NAME
    assert report.unsigned
    assert not report.wrong


def test_a_platform_can_be_asked_about_alone(made: Publication) -> None:
    digest = made.verdicts[ARM64].subject.digest
    report = asked(replace(made.published, digest=digest))
    assert [(each.title, each.digest) for each in report.examined] == [(ARM64, digest)]
    assert wrong(report) == {}


def test_signatures_count_where_somebody_is_trusted(made: Publication) -> None:
    trusted = Trusted(who=("the key a.pub",), verify=lambda *_: "the key a.pub", signature=refuse)
    report = asked(made.published, trusted)
    assert wrong(report) == {}
    assert not report.unsigned
    assert "signed by the key a.pub" in text(report)


def test_what_nobody_who_is_trusted_has_signed_is_wrong(made: Publication) -> None:
    found = wrong(asked(made.published, replace(NOBODY, who=("the key a.pub",))))
    assert len(found) == 1 + 2 * len(Kind)
    assert found["index", "test-result"] == ("unsigned", "signed by somebody else")


def test_what_others_state_beside_it_is_left_aside(made: Publication) -> None:
    """Anyone who may write to a registry can attach something."""
    digest = made.verdicts[AMD64].subject.digest
    target = made.target
    (real,) = (
        each for each in target.attestations(NAME, digest) if each.statement.kind is Kind.SBOM
    )
    false = replace(real, statement=replace(real.statement, predicate={}))

    class Both(type(target)):  # type: ignore[misc]
        def attestations(self, name: str, digest: str) -> tuple[Attestation, ...]:
            found = target.attestations(name, digest)
            return (*found, false) if digest == real.statement.digest else found

    def verify(attestation: Attestation, _: bytes) -> str:
        return refuse() if attestation is false else "the key a.pub"

    both = Both(where=target.where, directory=target.directory, attested=target.attested)
    trusted = Trusted(who=("the key a.pub",), verify=verify, signature=refuse)
    report = asked(replace(made.published, target=both), trusted)
    assert wrong(report) == {}
    assert "1 by others: left aside" in text(report)
    assert set(wrong(asked(replace(made.published, target=both)))) == {(AMD64, "sbom")}


def test_an_attestation_that_is_absent_is_missed(made: Publication) -> None:
    folder = made.target.attested / made.verdicts[AMD64].subject.digest.replace(":", "-")
    (folder / "sbom.statement.json").unlink()
    assert wrong(asked(made.published)) == {(AMD64, "sbom"): ("absent: nobody states anything",)}


def test_a_layer_that_was_altered_is_found(made: Publication) -> None:
    manifest = json.loads(made.target.manifest(NAME, made.verdicts[AMD64].subject.digest))
    blob = blob_path(made.target.directory, manifest["layers"][-1]["digest"])
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    (problem,) = wrong(asked(made.published))[AMD64, "content"]
    assert "is damaged" in problem


def test_a_manifest_that_was_altered_is_found(made: Publication) -> None:
    digest = made.verdicts[ARM64].subject.digest
    path = blob_path(made.target.directory, digest)
    path.write_bytes(path.read_bytes() + b" ")
    (problem,) = wrong(asked(made.published))[ARM64, "content"]
    assert "holds the bytes of sha256:" in problem


def test_an_index_that_was_altered_is_no_image(made: Publication) -> None:
    blob_path(made.target.directory, made.index).write_bytes(b"{}")
    with pytest.raises(VerifyError, match="holds the bytes of"):
        asked(made.published)


def test_an_index_of_other_manifests_is_not_the_one_that_passed(made: Publication) -> None:
    digest = made.verdicts[AMD64].subject.digest
    fewer = replace(made, verdicts={AMD64: made.verdicts[AMD64]})
    made.state(of_index(fewer))
    _, problem = wrong(asked(made.published))["index", "test-result"]
    assert problem.startswith(f"{ARM64}: sha256:")
    assert digest not in problem


def test_an_index_with_an_image_that_did_not_pass_is_found(made: Publication) -> None:
    failed = made.verdicts[AMD64].model_copy(update={"checks": (DISTANCE,), "passed": False})
    made.state(of_index(replace(made, verdicts={**made.verdicts, AMD64: failed})))
    _, *problems = wrong(asked(made.published))["index", "test-result"]
    assert problems == ["its result is FAILED"]


def test_the_signature_of_each_manifest_is_looked_at_in_a_registry(made: Publication) -> None:
    known = f"@{made.verdicts[AMD64].subject.digest}"

    def signature(reference: str) -> str:
        return "the key a.pub" if reference.endswith(known) else refuse()

    trusted = Trusted(
        who=("the key a.pub",), verify=lambda *_: "the key a.pub", signature=signature
    )
    found = wrong(asked(replace(made.published, signed=True), trusted))
    assert set(found) == {("index", "signature"), (ARM64, "signature")}
    assert "not looked at" in text(asked(replace(made.published, signed=True)))


def test_a_platform_that_the_index_lies_about_is_found(made: Publication) -> None:
    path = blob_path(made.target.directory, made.index)
    index = json.loads(path.read_bytes())
    one, other = index["manifests"]
    one["platform"], other["platform"] = other["platform"], one["platform"]
    swapped = json.dumps(index).encode()

    class Swapped(type(made.target)):  # type: ignore[misc]
        def manifest(self, name: str, digest: str) -> bytes:
            return swapped if digest == made.index else made.target.manifest(name, digest)

    target = made.target
    other_target = Swapped(where=target.where, directory=target.directory, attested=target.attested)
    found = wrong(asked(replace(made.published, target=other_target)))
    assert found[ARM64, "content"] == (f"it is for {AMD64}, and the index says {ARM64}",)


@pytest.mark.parametrize(
    "index",
    [
        {"manifests": []},
        {"manifests": [{"mediaType": "x", "digest": f"sha256:{'0' * 64}", "size": 1}]},
    ],
)
def test_an_index_that_names_no_platforms_is_refused(index: dict[str, Any]) -> None:
    with pytest.raises(VerifyError, match="does not name each platform once"):
        platforms(json.dumps({"schemaVersion": 2, "mediaType": INDEX, **index}).encode(), "d")


def test_another_image_than_was_asked_for_is_found(made: Publication) -> None:
    _, problem = wrong(asked(replace(made.published, expected="equivec/other")))[
        AMD64, "test-result"
    ]
    assert "published as equivec/other" in problem
    for expected in ("onnxruntime-tiny", f"acme/{NAME}"):
        assert wrong(asked(replace(made.published, expected=expected))) == {}


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("configuration", {"config_digest": f"sha256:{'0' * 64}"}),
        ("layers", {"diff_ids": ()}),
        ("platform", {"platform": ARM64}),
        ("size", {"compressed_bytes": 1}),
    ],
)
def test_a_verdict_about_another_image_is_found(
    what: str, change: dict[str, Any], made: Publication
) -> None:
    verdict = made.verdicts[AMD64]
    subject = verdict.subject.model_copy(update=change)
    judge(made, AMD64, verdict.model_copy(update={"subject": subject}))
    details = wrong(asked(made.published))[AMD64, "test-result"]
    assert any(detail.startswith(f"{what}: ") for detail in details)


def test_a_verdict_about_another_digest_is_found(made: Publication) -> None:
    judge(made, AMD64, made.verdicts[ARM64])
    _, problem = wrong(asked(made.published))[AMD64, "test-result"]
    assert "its verdict is on sha256:" in problem


@pytest.mark.parametrize("field", ["backend", "model", "vector_space", "precision"])
def test_a_verdict_that_the_labels_contradict_is_found(field: str, made: Publication) -> None:
    judge(made, AMD64, made.verdicts[AMD64].model_copy(update={field: "another"}))
    details = wrong(asked(made.published))[AMD64, "test-result"]
    assert any(detail.startswith("label io.equivec.") for detail in details)


def test_an_image_that_did_not_pass_is_found(made: Publication) -> None:
    checks = {"checks": (WIDE, DISTANCE), "passed": False}
    judge(made, AMD64, made.verdicts[AMD64].model_copy(update=checks))
    assert (
        f"check {DISTANCE.name} did not pass" in wrong(asked(made.published))[AMD64, "test-result"]
    )


def test_drift_is_told(made: Publication) -> None:
    verdict = made.verdicts[AMD64]
    inputs = verdict.inputs.model_copy(update={"drift": ("libc6 2.36-10",)})
    judge(made, AMD64, verdict.model_copy(update={"inputs": inputs}))
    report = asked(made.published)
    assert wrong(report) == {}
    assert "drifted from its lock: libc6 2.36-10" in text(report)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda p: p.update(buildDefinition={}), "its provenance is malformed"),
        (lambda p: p["buildDefinition"].update(buildType="x"), "it was built as x"),
        (
            lambda p: p["buildDefinition"]["externalParameters"].update(model="other"),
            "model: other, and the verdict is about tiny",
        ),
        (lambda p: p["buildDefinition"]["internalParameters"].update(epoch=1), "epoch: 1, and"),
        (
            lambda p: p["buildDefinition"]["internalParameters"]["locks"].update(debian="0"),
            "locks: ",
        ),
        (lambda p: p["runDetails"]["byproducts"].pop(), "configuration and layers: "),
        (
            lambda p: p["buildDefinition"].update(
                resolvedDependencies=[
                    each
                    for each in p["buildDefinition"]["resolvedDependencies"]
                    if "libc6" not in each["name"]
                ]
            ),
            "Debian package libc6 2.36-9+deb12u13: not among its inputs",
        ),
    ],
)
def test_a_provenance_that_contradicts_the_verdict_is_found(
    change: Callable[[Any], None], problem: str, made: Publication
) -> None:
    restate(made, AMD64, Kind.PROVENANCE, change)
    found = wrong(asked(made.published))
    assert set(found) == {(AMD64, "provenance")}
    assert any(each.startswith(problem) for each in found[AMD64, "provenance"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda b: b["metadata"]["component"].update(version="sha256:0"),
            "it is about sha256:0, and the verdict about",
        ),
        (lambda b: b["components"].pop(), "in the verdict, and not in the SBOM"),
        (lambda b: b.update(components=[]), "Debian package libc6"),
        (
            lambda b: b["components"].append({**b["components"][0], "name": "more"}),
            "/opt/equivec/inventory.cdx.json: another inventory than the SBOM",
        ),
    ],
)
def test_an_sbom_that_contradicts_the_verdict_is_found(
    change: Callable[[Any], None], problem: str, made: Publication
) -> None:
    restate(made, AMD64, Kind.SBOM, change)
    found = wrong(asked(made.published))
    assert set(found) == {(AMD64, "sbom")}
    assert any(problem in each for each in found[AMD64, "sbom"])


def test_nothing_that_is_read_moves_the_cursor(made: Publication) -> None:
    verdict = made.verdicts[AMD64]
    environment = verdict.environment.model_copy(update={"cpu": "\x1b[2J\x1b[Hverified"})
    judge(made, AMD64, verdict.model_copy(update={"environment": environment}))
    assert "\x1b" not in text(asked(made.published))


def test_the_last_line_says_what_came_out(made: Publication) -> None:
    trusted = Trusted(who=("the key a.pub",), verify=lambda *_: "the key a.pub", signature=refuse)
    last = (
        text(asked(made.published, trusted)),
        text(asked(made.published)),
        text(asked(replace(made.published, expected="other"))),
    )
    assert [lines.splitlines()[-1].partition(":")[0] for lines in last] == [
        *("verified", "unsigned", "refused")
    ]
