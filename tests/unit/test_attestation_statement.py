"""In-toto statements: one JSON form, and nothing else is read as one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Kind, Statement
from builders.errors import SigningError
from tests.unit import attested

DIGEST = f"sha256:{'ab' * 32}"
PREDICATE = {"result": "PASSED", "figure": 1e-05}
STATEMENT = Statement(
    kind=Kind.TEST_RESULT, subject_name="equivec/a-b", digest=DIGEST, predicate=PREDICATE
)

PAYLOAD = base64.b64encode(statements.to_json(STATEMENT)).decode()

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def envelope(content: bytes, **other: Any) -> bytes:
    document = {
        "payloadType": statements.PAYLOAD_TYPE,
        "payload": base64.b64encode(content).decode(),
        "signatures": [{"keyid": "", "sig": "AA=="}],
    }
    return json.dumps({**document, **other}).encode()


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (Kind.TEST_RESULT, "test-result"),
        (Kind.PROVENANCE, "provenance"),
        (Kind.SBOM, "sbom"),
    ],
)
def test_a_kind_has_a_word(kind: Kind, word: str) -> None:
    assert kind.word == word


def test_a_statement_is_an_in_toto_statement_about_one_digest() -> None:
    assert json.loads(statements.to_json(STATEMENT)) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "equivec/a-b", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": PREDICATE,
    }


@given(kind=st.sampled_from(Kind), name=st.text(), predicate=st.dictionaries(st.text(), values))
def test_what_is_written_is_read(kind: Kind, name: str, predicate: dict[str, Any]) -> None:
    written = Statement(kind=kind, subject_name=name, digest=DIGEST, predicate=predicate)

    content = statements.to_json(written)

    assert statements.from_json(content) == written
    assert statements.from_envelope(envelope(content)) == written
    assert statements.to_json(statements.from_json(content)) == content


def test_the_envelope_inside_a_sigstore_bundle_is_read() -> None:
    inner = json.loads(envelope(statements.to_json(STATEMENT)))
    bundle = json.dumps({"mediaType": "x", "dsseEnvelope": inner}).encode()
    assert statements.attestation(bundle, "sigstore") == Attestation(
        statement=STATEMENT, envelope=bundle, form="sigstore"
    )


def test_the_older_type_of_statement_is_read() -> None:
    document = json.loads(statements.to_json(STATEMENT))
    document["_type"] = "https://in-toto.io/Statement/v0.1"
    assert statements.from_json(json.dumps(document).encode()) == STATEMENT


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(statements.to_json(STATEMENT)), **fields}).encode()


SUBJECT = {"name": "x", "digest": {"sha256": "ab" * 32}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        changed(_type="https://in-toto.io/Statement/v9"),
        changed(predicateType="https://example.com/praise/v1"),
        changed(predicate=[]),
        changed(subject=[]),
        changed(subject=[SUBJECT, SUBJECT]),
        changed(subject=["x"]),
        changed(subject=[{"name": "x", "digest": {"sha1": "ab" * 20}}]),
        changed(subject=[{"name": "x", "digest": {"sha256": "AB" * 32}}]),
        changed(subject=[{"name": "x", "digest": {"sha256": "../" + "ab" * 30}}]),
        changed(subject=[{"name": "x", "digest": {"sha256": 5}}]),
    ],
)
def test_what_is_no_statement_is_refused(content: bytes) -> None:
    with pytest.raises(SigningError):
        statements.from_json(content)
    with pytest.raises(SigningError):
        statements.from_envelope(envelope(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"dsseEnvelope": 1}',
        envelope(statements.to_json(STATEMENT), payloadType="text/plain"),
        envelope(statements.to_json(STATEMENT), payload="not base64!"),
        envelope(statements.to_json(STATEMENT), payload=f"!{PAYLOAD}"),
        envelope(statements.to_json(STATEMENT), payload=5),
    ],
)
def test_what_is_no_envelope_is_refused(content: bytes) -> None:
    with pytest.raises(SigningError):
        statements.from_envelope(content)


def test_only_the_same_of_the_same_bytes_is_the_same() -> None:
    judged = attested.verdict()
    one = attested.statement(judged)
    renamed = Statement(kind=one.kind, subject_name="x", digest=one.digest, predicate=one.predicate)
    assert one.states(renamed)
    for other in (
        attested.statement(judged, Kind.PROVENANCE),
        attested.statement(attested.verdict(digest=attested.sha("9"))),
        attested.statement(judged.model_copy(update={"cell": "another"})),
    ):
        assert not one.states(other)
