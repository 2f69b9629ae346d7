"""Registries: their names, what their clients say, and how those are asked."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from builders.attestation import statement as statements
from builders.attestation.statement import Kind, Statement
from builders.errors import RegistryError
from builders.registry import arguments, artifact
from builders.registry.client import Registry
from builders.registry.faults import Fault, Patience, RegistryFault, fault_of, patiently
from builders.registry.reference import Repository, reference, repository
from builders.registry.seal import as_cosign_writes
from builders.registry.transport import plain

DIGEST = f"sha256:{'0' * 64}"
HERE = repository("ghcr.io/acme/equivec/a-b")


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "digest"),
    [
        ("ghcr.io/acme/a-b", "ghcr.io", "acme/a-b", None, None),
        ("docker://ghcr.io/acme/a-b:v1.2.3", "ghcr.io", "acme/a-b", "v1.2.3", None),
        (f"localhost:5000/a@{DIGEST}", "localhost:5000", "a", None, DIGEST),
        (f"127.0.0.1:5000/a/b:1@{DIGEST}", "127.0.0.1:5000", "a/b", "1", DIGEST),
        ("[::1]:5000/a__b:x", "[::1]:5000", "a__b", "x", None),
        ("registry:5000/a", "registry:5000", "a", None, None),
    ],
)
def test_references_are_read_and_written(
    text: str, host: str, path: str, tag: str | None, digest: str | None
) -> None:
    read = reference(text)
    assert read.repository == Repository(host=host, path=path)
    assert (read.tag, read.digest) == (tag, digest)
    assert str(read) == text.removeprefix("docker://")


@pytest.mark.parametrize(
    "text",
    [
        "a-b",
        "acme/a-b",  # a host has a dot, a port, or is localhost
        "ghcr.io/Acme/a-b",
        "ghcr.io/acme/a-b:",
        "ghcr.io/acme/a-b@sha256:0",
        "ghcr.io/acme//a-b",
        "-u/x",
        "",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(RegistryError, match="not "):
        reference(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.8.8.8", True),
        ("[::1]:5000", True),
        ("ghcr.io", False),
        ("10.0.0.1:5000", False),
        ("localhost.example:5000", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, loopback: bool) -> None:  # noqa: FBT001
    assert Repository(host=host, path="a").loopback is loopback


def test_only_this_machine_may_do_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        assert plain(Repository(host=host, path="a"))
        answering.join()
    assert not plain(HERE)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("Error: ghcr.io/a/b:1: not found", Fault.ABSENT),
        ("response status code 404: name unknown: repository name not known", Fault.ABSENT),
        ('GET "http://x/v2/": basic credential not found', Fault.UNAUTHORIZED),
        ("response status code 401: unauthorized: authentication required", Fault.UNAUTHORIZED),
        ("push access denied, repository does not exist or may require", Fault.UNAUTHORIZED),
        ("response status code 403: denied: requested access", Fault.UNAUTHORIZED),
        ("unexpected status from HEAD request: 500 Internal Server Error", Fault.SERVER),
        ("response status code 503: Service Unavailable", Fault.SERVER),
        ("response status code 429: toomanyrequests: slow down", Fault.SERVER),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", Fault.UNREACHABLE),
        ("dial tcp: lookup ghcr.io: no such host", Fault.UNREACHABLE),
        ('Put "http://x/v2/a": EOF', Fault.CUT),
        ("read tcp 1.1.1.1:1->2.2.2.2:2: read: connection reset by peer", Fault.CUT),
        ("write: broken pipe", Fault.CUT),
        ("tls: failed to verify certificate: x509: unknown authority", Fault.CERTIFICATE),
        ("panic: sync/atomic: compare and swap of inconsistently typed value", Fault.CUT),
        (f"mismatch digest: {DIGEST}", Fault.OTHER),
        ("manifest invalid", Fault.OTHER),
    ],
)
def test_faults_are_told_apart_by_what_clients_say(said: str, fault: Fault) -> None:
    assert fault_of(said) is fault


def test_what_passes_is_waited_out_and_the_rest_is_not() -> None:
    notes: list[str] = []

    def failing(faults: list[Fault]) -> str:
        if faults:
            raise RegistryFault(faults.pop(0), "said so", where="here")
        return "done"

    patience = Patience(delays=(0.0, 0.0))
    left = [Fault.CUT, Fault.SERVER]
    assert patiently(lambda: failing(left), patience, notes.append) == "done"
    assert [note.partition(";")[0] for note in notes] == [
        "here: the connection was cut",
        "here: the registry fails",
    ]

    left = [Fault.UNREACHABLE] * 3
    with pytest.raises(RegistryError, match="cannot be reached: said so"):
        patiently(lambda: failing(left), patience, notes.append)
    assert not left

    left = [Fault.UNAUTHORIZED, Fault.CUT]
    with pytest.raises(RegistryError, match="does not accept the credentials"):
        patiently(lambda: failing(left), patience, notes.append)
    assert left == [Fault.CUT]


def test_argument_lists() -> None:
    file, there = Path("f"), HERE.at(DIGEST)
    assert arguments.resolve(there, plain=False) == (
        *("resolve", "--plain-http=false"),
        f"ghcr.io/acme/equivec/a-b@{DIGEST}",
    )
    assert arguments.push_manifest(HERE.tagged("x"), file, "application/x", plain=True) == (
        *("manifest", "push", "--plain-http=true", "--media-type", "application/x"),
        *("ghcr.io/acme/equivec/a-b:x", "f"),
    )
    assert arguments.copy_from_layout(Path("d"), DIGEST, HERE, plain=False) == (
        *("cp", "--from-oci-layout", "--to-plain-http=false", "--no-tty"),
        *(f"d@{DIGEST}", "ghcr.io/acme/equivec/a-b"),
    )
    assert arguments.copy_with_referrers(Path("d"), DIGEST, HERE, plain=True) == (
        *("cp", "--recursive", "--from-oci-layout", "--to-plain-http=true", "--no-tty"),
        *(f"d@{DIGEST}", "ghcr.io/acme/equivec/a-b"),
    )
    assert arguments.copy_to_layout(there, Path("d"), plain=True) == (
        *("cp", "--from-plain-http=true", "--to-oci-layout", "--no-tty", "--concurrency", "1"),
        *(str(there), "d:copied"),
    )


def program(directory: Path, answers: Sequence[tuple[int, str, str]]) -> Path:
    """A program in the place of oras: status, output and error of each of its runs."""
    (directory / "answers").mkdir(parents=True)
    for number, (status, out, error) in enumerate(answers):
        answer = f"echo '{out}'; echo '{error}' >&2; exit {status}\n"
        (directory / "answers" / str(number)).write_text(answer)
    path = directory / "oras"
    path.write_text(
        "#!/bin/sh\n"
        f"cd {directory}\n"
        'number=$(wc -l < calls 2>/dev/null || echo 0)\necho "$*" >> calls\n'
        'for word; do [ "$before" = --output ] && echo other > "$word"; before=$word; done\n'
        ". ./answers/$number\n"
    )
    path.chmod(0o755)
    return path


def asked(directory: Path, answers: Sequence[tuple[int, str, str]]) -> tuple[Registry, list[str]]:
    notes: list[str] = []
    oras = program(directory, answers)
    patience = Patience(delays=(0.0, 0.0))
    return Registry(oras=oras, note=notes.append, patience=patience), notes


def calls(directory: Path) -> list[str]:
    return (directory / "calls").read_text().splitlines()


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    registry, _ = asked(tmp_path, [(1, "", "Error: x: not found")] * 2)
    assert registry.resolve(HERE.tagged("x")) is None
    assert registry.tags(HERE) == ()


def test_a_cut_connection_is_tried_again(tmp_path: Path) -> None:
    cut = (1, "", "Head: EOF")
    registry, notes = asked(tmp_path, [cut, cut, (0, DIGEST, "")])
    assert registry.resolve(HERE.tagged("x")) == DIGEST
    assert len(notes) == 2

    registry, _ = asked(tmp_path / "down", [(1, "", "connection refused")] * 3)
    with pytest.raises(RegistryError, match="cannot be reached"):
        registry.resolve(HERE.tagged("x"))
    assert len(calls(tmp_path / "down")) == 3


def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    registry, _ = asked(tmp_path, [(1, "", "response status code 401: unauthorized")])
    with pytest.raises(RegistryError, match="credentials") as caught:
        registry.resolve(HERE.tagged("x"))
    assert "docker login" in str(caught.value)
    assert len(calls(tmp_path)) == 1


def test_what_was_put_there_is_looked_at(tmp_path: Path) -> None:
    other = f"sha256:{'1' * 64}"
    registry, _ = asked(tmp_path / "other", [(0, "", ""), (0, other, "")])
    with pytest.raises(RegistryError, match=f"holds {other} after {DIGEST}"):
        registry.tag(HERE, DIGEST, "x")

    registry, _ = asked(tmp_path / "none", [(0, "", ""), (1, "", "not found")])
    with pytest.raises(RegistryError, match="holds nothing after"):
        registry.put(HERE.tagged("x"), b'{"mediaType":"x"}')


def test_bytes_of_another_digest_are_refused(tmp_path: Path) -> None:
    registry, _ = asked(tmp_path, [(0, "", "")] * 2)
    with pytest.raises(RegistryError, match="damaged"):
        registry.manifest(HERE.at(DIGEST))
    with pytest.raises(RegistryError, match="damaged"):
        registry.blob(HERE, DIGEST)


SUBJECT = b'{"mediaType":"application/vnd.oci.image.index.v1+json"}'
STATEMENT = Statement(
    kind=Kind.TEST_RESULT,
    subject_name="a",
    digest=f"sha256:{hashlib.sha256(SUBJECT).hexdigest()}",
    predicate={"result": "PASSED"},
)


def test_the_same_attestation_is_the_same_artifact() -> None:
    attestation = statements.attestation(statements.to_json(STATEMENT), "statement")
    manifest = artifact.manifest(attestation, SUBJECT)
    assert artifact.manifest(attestation, SUBJECT) == manifest
    document = json.loads(manifest)
    assert document["subject"]["digest"] == STATEMENT.digest
    assert document["artifactType"] == "application/vnd.in-toto+json"
    (layer,) = document["layers"]
    assert layer["digest"] == f"sha256:{hashlib.sha256(attestation.content).hexdigest()}"
    assert layer["size"] == len(attestation.content)
    later = replace(STATEMENT, predicate={"result": "FAILED"})
    changed = statements.attestation(statements.to_json(later), "statement")
    assert artifact.manifest(changed, SUBJECT) != manifest


def test_a_listed_artifact_says_what_it_is() -> None:
    attestation = statements.attestation(statements.to_json(STATEMENT), "statement")
    manifest = artifact.manifest(attestation, SUBJECT)
    first = json.loads(artifact.fallback_index(None, manifest))
    again = json.loads(artifact.fallback_index(first, manifest.replace(b"PASSED", b"PASSED")))
    assert len(first["manifests"]) == 1
    assert len(again["manifests"]) == 2
    listed = artifact.Referrer.model_validate(first["manifests"][0])
    assert (listed.form, listed.kind) == ("statement", Kind.TEST_RESULT)
    other = artifact.Referrer.model_validate(
        {**first["manifests"][0], "artifactType": "x", "annotations": None}
    )
    assert (other.form, other.kind) == (None, None)


def test_envelopes_are_found_again_as_cosign_writes_them() -> None:
    signature = {"sig": "s+/=", "keyid": ""}
    envelope = json.dumps({"payload": "p", "signatures": [signature], "payloadType": "t"})
    assert as_cosign_writes(envelope.encode()) == (
        b'{"payloadType":"t","payload":"p","signatures":[{"keyid":"","sig":"s+/="}]}'
    )
