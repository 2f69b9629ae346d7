"""Signatures by the real cosign, and by nobody else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builders import matrix, tools
from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Kind, Statement
from builders.errors import ProcessError, SigningError, ToolError
from builders.matrix import Identity
from builders.paths import ROOT
from builders.project import Project
from builders.signing import Cosign, Signer, Trust, arguments, keys, verify
from builders.signing.arguments import Party
from builders.signing.cosign import cosign as probed
from builders.signing.cosign import run_cosign
from builders.signing.credential import Credential, KeyFile, Keyless
from builders.store import Store, cache_directory

PASSWORD = "correct horse"  # noqa: S105 (of keys that the tests make)
MANIFEST = b'{"schemaVersion":2,"layers":[]}'
STATEMENT = Statement(
    kind=Kind.TEST_RESULT,
    subject_name="equivec/onnxruntime-fixture-768",
    digest=f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}",
    # What Go's JSON would write otherwise: small and large numbers, and signs of HTML.
    predicate={"result": "PASSED", "worst": 4.1e-7, "limit": 1e-5, "bytes": 2**60, "why": "a < b"},
)


@pytest.fixture(scope="module")
def cosign() -> Cosign:
    return probed(tools.find("cosign", cache_directory(), note=print))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user of our own, with a password."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if name != "EQUIVEC_SIGNING_KEY"}
    return {**kept, "HOME": str(home), "COSIGN_PASSWORD": PASSWORD}


def pair(cosign: Cosign, directory: Path, environment: dict[str, str]) -> tuple[Path, Path]:
    checkout = directory / "checkout"
    checkout.mkdir(parents=True)
    private, public = directory / "user" / "cosign.key", checkout / "cosign.pub"
    keys.make(cosign, private=private, public=public, checkout=checkout, environment=environment)
    return private, public


def signer_of(directory: Path, environment: dict[str, str], *, trusted: bool = True) -> Signer:
    checkout = directory / "checkout"
    text = (ROOT / "matrix.yaml").read_text("utf-8")
    trust = "trust: {keys: [cosign.pub]}\n" if trusted else ""
    (checkout / "matrix.yaml").write_text(f"{text}\n{trust}", encoding="utf-8")
    project = Project(
        root=checkout,
        matrix=matrix.load(checkout / "matrix.yaml"),
        store=Store(cache_directory()),
    )
    named = {**environment, "EQUIVEC_SIGNING_KEY": str(directory / "user" / "cosign.key")}
    return Signer.of(project, named, note=pytest.fail)


@pytest.fixture(scope="module")
def ours(
    cosign: Cosign, tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> tuple[Signer, Trust]:
    directory = tmp_path_factory.mktemp("ours")
    _, public = pair(cosign, directory, environment)
    return signer_of(directory, environment), Trust(keys=(public,))


@pytest.fixture(scope="module")
def signed(ours: tuple[Signer, Trust]) -> Attestation:
    return ours[0].sign(STATEMENT, MANIFEST)


def test_a_pair_is_made_for_its_owner_alone(
    cosign: Cosign, tmp_path: Path, environment: dict[str, str]
) -> None:
    private, public = pair(cosign, tmp_path, environment)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    assert "ENCRYPTED" in private.read_text()
    assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")
    assert [path.name for path in private.parent.iterdir()] == ["cosign.key"]

    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(SigningError, match="is there already"):
        keys.make(
            cosign,
            private=private,
            public=public,
            checkout=public.parent,
            environment=environment,
        )
    assert (private.read_bytes(), public.read_bytes()) == before


def test_what_is_signed_is_the_statement_itself(signed: Attestation) -> None:
    assert signed.form == "dsse"
    assert signed.statement == STATEMENT
    assert signed.envelope is not None
    payload = base64.b64decode(json.loads(signed.envelope)["payload"])
    assert payload == statements.to_json(STATEMENT)


def test_who_signed_it_is_told(
    cosign: Cosign, ours: tuple[Signer, Trust], signed: Attestation
) -> None:
    assert verify(signed, MANIFEST, ours[1], cosign) == "the key cosign.pub"


def test_cosign_alone_verifies_it(
    cosign: Cosign,
    ours: tuple[Signer, Trust],
    signed: Attestation,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    """With the command that docs/signing.md shows."""
    page = (ROOT / "docs" / "signing.md").read_text("utf-8")
    shown = re.compile(
        r"^```sh\n(cosign verify-blob-attestation .*?)^```", re.MULTILINE | re.DOTALL
    )
    (command,) = shown.findall(page)
    if cosign.has_bundles:
        command = command.replace("--key", "--new-bundle-format=false --key")
    assert signed.envelope is not None
    (tmp_path / "test-result.dsse.json").write_bytes(signed.envelope)
    (tmp_path / "cosign.pub").write_bytes(ours[1].keys[0].read_bytes())
    path = f"{cosign.program.parent}{os.pathsep}{environment['PATH']}"
    for manifest, status in ((MANIFEST, 0), (MANIFEST + b" ", 1)):
        (tmp_path / "manifest.json").write_bytes(manifest)
        completed = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == status, completed.stderr
        assert ("Verified OK" in completed.stderr) is (status == 0)


def test_another_key_is_refused(
    cosign: Cosign, signed: Attestation, tmp_path: Path, environment: dict[str, str]
) -> None:
    _, public = pair(cosign, tmp_path, environment)
    with pytest.raises(SigningError, match="signed by nobody whom") as caught:
        verify(signed, MANIFEST, Trust(keys=(public,)), cosign)
    assert "the key cosign.pub: " in caught.value.problem


def test_one_of_several_keys_suffices(
    cosign: Cosign,
    ours: tuple[Signer, Trust],
    signed: Attestation,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    _, other = pair(cosign, tmp_path, environment)
    verify(signed, MANIFEST, Trust(keys=(other, *ours[1].keys)), cosign)


@pytest.mark.parametrize(
    ("old", "new"), [(b"PASSED", b"FAILED"), (b"4.1e-07", b"4.0e-07"), (b'"a < b"', b'"a > b"')]
)
def test_an_edited_statement_is_refused(
    cosign: Cosign, ours: tuple[Signer, Trust], signed: Attestation, old: bytes, new: bytes
) -> None:
    assert signed.envelope is not None
    document = json.loads(signed.envelope)
    payload = base64.b64decode(document["payload"])
    assert payload.count(old) == 1
    document["payload"] = base64.b64encode(payload.replace(old, new)).decode()
    edited = statements.attestation(json.dumps(document).encode(), "dsse")
    assert edited.statement.digest == STATEMENT.digest
    with pytest.raises(SigningError, match="was changed, or is signed by nobody"):
        verify(edited, MANIFEST, ours[1], cosign)


def test_a_signature_of_another_statement_is_refused(
    cosign: Cosign, ours: tuple[Signer, Trust], signed: Attestation
) -> None:
    other = ours[0].sign(replace(STATEMENT, kind=Kind.SBOM, predicate={}), MANIFEST)
    assert signed.envelope is not None
    assert other.envelope is not None
    mixed = json.loads(signed.envelope)
    mixed["signatures"] = json.loads(other.envelope)["signatures"]
    with pytest.raises(SigningError, match="was changed"):
        verify(
            statements.attestation(json.dumps(mixed).encode(), "dsse"), MANIFEST, ours[1], cosign
        )


def test_a_bare_envelope_without_signatures_is_refused(
    cosign: Cosign, ours: tuple[Signer, Trust], signed: Attestation
) -> None:
    assert signed.envelope is not None
    bare = json.dumps({**json.loads(signed.envelope), "signatures": []}).encode()
    with pytest.raises(SigningError, match="was changed, or is signed by nobody"):
        verify(statements.attestation(bare, "dsse"), MANIFEST, ours[1], cosign)


def test_a_wrong_password_is_noticed_at_once(
    cosign: Cosign, tmp_path: Path, environment: dict[str, str]
) -> None:
    pair(cosign, tmp_path, environment)
    wrong = {**environment, "COSIGN_PASSWORD": "battery staple"}
    with pytest.raises(SigningError, match="cannot be read with the password") as caught:
        signer_of(tmp_path, wrong)
    assert "battery staple" not in str(caught.value)


def test_a_key_that_is_not_trusted_is_told(
    cosign: Cosign, tmp_path: Path, environment: dict[str, str]
) -> None:
    for name in ("one", "other"):
        pair(cosign, tmp_path / name, environment)
    (tmp_path / "other" / "checkout" / "cosign.pub").write_bytes(
        (tmp_path / "one" / "checkout" / "cosign.pub").read_bytes()
    )
    with pytest.raises(pytest.fail.Exception, match="is not among `trust`"):
        signer_of(tmp_path / "other", environment)
    assert signer_of(tmp_path / "other", environment, trusted=False).hand is not None


def test_the_session_makes_a_pair(tmp_path: Path, environment: dict[str, str]) -> None:
    private, public = tmp_path / "user" / "cosign.key", tmp_path / "cosign.pub"
    argv = [sys.executable, "-m", "builders", "keys"]
    argv += ["--private", str(private), "--public", str(public)]
    first, second = (
        subprocess.run(
            argv,
            cwd=ROOT,
            env={**environment, "EQUIVEC_CACHE": str(cache_directory())},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert f"export EQUIVEC_SIGNING_KEY={private}" in first.stdout
    assert "keys: [cosign.pub]" in first.stdout
    assert PASSWORD not in first.stdout + first.stderr
    assert second.returncode == SigningError.exit_code
    assert "is there already" in second.stderr


@pytest.mark.parametrize("party", [Path("k.pub"), Identity(issuer="https://i", subject="^me$")])
@pytest.mark.parametrize("credential", [KeyFile(path=Path("k.key")), Keyless()])
def test_it_knows_every_option(cosign: Cosign, party: Party, credential: Credential) -> None:
    """Also those of what needs a registry, or an identity: asked for help, it reads them first."""
    kind, file, reference = str(Kind.SBOM), Path("file"), "localhost:1/name@sha256:0"
    commands = [
        arguments.attach_attestation(cosign, envelope=file, reference=reference),
        arguments.sign(cosign, credential, reference),
        arguments.attest(
            cosign, credential, predicate_type=kind, predicate=file, reference=reference
        ),
        arguments.verify(cosign, party, reference),
        arguments.verify_attestation(cosign, party, predicate_type=kind, reference=reference),
        arguments.verify_blob_attestation(
            cosign, party, predicate_type=kind, envelope=file, blob=file
        ),
        *(
            [arguments.attest_blob(cosign, statement=file, bundle=file)]
            if cosign.has_bundles
            else []
        ),
    ]
    for argv in commands:
        assert "Usage:" in run_cosign((*argv, "--help"), os.environ).stdout


def test_an_option_that_it_does_not_know_would_be_noticed(cosign: Cosign) -> None:
    with pytest.raises(ProcessError, match="unknown flag: --verify-nothing"):
        run_cosign((str(cosign.program), "verify", "--verify-nothing", "--help"), os.environ)


def test_another_program_is_no_cosign(tmp_path: Path) -> None:
    other = tmp_path / "cosign"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    with pytest.raises(ToolError, match="is no cosign"):
        probed(other)


def test_an_envelope_with_two_payloads_is_refused(
    cosign: Cosign, ours: tuple[Signer, Trust], signed: Attestation, tmp_path: Path
) -> None:
    """cosign verifies the one, and we would read the other."""
    assert signed.envelope is not None
    true = json.loads(signed.envelope)
    false = statements.to_json(replace(STATEMENT, predicate={"result": "FORGED"}))
    forged = {**true, "payload": base64.b64encode(false).decode(), "Payload": true["payload"]}
    envelope, manifest = tmp_path / "envelope.json", tmp_path / "manifest.json"
    envelope.write_text(json.dumps(forged))
    manifest.write_bytes(MANIFEST)
    argv = arguments.verify_blob_attestation(
        cosign,
        ours[1].keys[0],
        predicate_type=str(Kind.TEST_RESULT),
        envelope=envelope,
        blob=manifest,
    )
    assert "Verified OK" in run_cosign(argv, os.environ).stderr

    believed = statements.attestation(envelope.read_bytes(), "dsse")
    assert believed.statement.predicate == {"result": "FORGED"}
    with pytest.raises(SigningError, match="Payload, which does not belong there"):
        verify(believed, MANIFEST, ours[1], cosign)
