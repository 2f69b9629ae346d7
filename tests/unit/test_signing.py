"""What is asked of cosign, what signs where, and what an envelope may hold."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from builders import matrix
from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Kind, Statement
from builders.commands import keys as keys_command
from builders.errors import SigningError, ToolError
from builders.matrix import Identity
from builders.paths import ROOT
from builders.project import Project
from builders.signing import Cosign, Signer, Trust, arguments, credential, dsse, keys, verify
from builders.signing.credential import Absent, KeyFile, Keyless
from builders.store import Store

TWO = Cosign(program=Path("/bin/cosign"), has_bundles=False)
THREE = Cosign(program=Path("/bin/cosign"), has_bundles=True)
KEY = KeyFile(path=Path("/k/cosign.key"))
PUBLIC = Path("/k/cosign.pub")
WHO = Identity(issuer="https://issuer", subject="https://acme/workflow")
ANY_OF = Identity(issuer="https://issuer", subject="^https://acme/.*$")
REFERENCE = "ghcr.io/acme/equivec/onnxruntime-fixture-768@sha256:0"
TYPE = str(Kind.TEST_RESULT)
MANIFEST = b'{"schemaVersion":2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
STATEMENT = Statement(
    kind=Kind.TEST_RESULT,
    subject_name="equivec/onnxruntime-fixture-768",
    digest=DIGEST,
    predicate={"result": "PASSED"},
)


def words(argv: tuple[str, ...]) -> str:
    assert argv[0] == "/bin/cosign"
    return " ".join(argv[1:])


@pytest.mark.parametrize(
    ("cosign", "quiet", "plain"),
    [
        (TWO, "--tlog-upload=false", ""),
        (
            THREE,
            "--new-bundle-format=false --use-signing-config=false --tlog-upload=false",
            "--new-bundle-format=false ",
        ),
    ],
)
def test_with_a_key_nobody_else_is_asked(cosign: Cosign, quiet: str, plain: str) -> None:
    checks = f"--key {PUBLIC} {plain}--insecure-ignore-tlog=true"
    assert (
        words(arguments.sign_blob(cosign, KEY, blob=Path("b"), signature=Path("s")))
        == f"sign-blob --yes --key {KEY.path} {quiet} --output-signature s b"
    )
    assert words(arguments.sign(cosign, KEY, REFERENCE)) == (
        f"sign --yes --key {KEY.path} {quiet} {REFERENCE}"
    )
    assert (
        words(
            arguments.attest(
                cosign, KEY, predicate_type=TYPE, predicate=Path("p"), reference=REFERENCE
            )
        )
        == f"attest --yes --key {KEY.path} {quiet} --type {TYPE} --predicate p {REFERENCE}"
    )
    assert (
        words(
            arguments.verify_blob_attestation(
                cosign, PUBLIC, predicate_type=TYPE, envelope=Path("e"), blob=Path("b")
            )
        )
        == f"verify-blob-attestation {checks} --type {TYPE} --signature e b"
    )
    assert words(arguments.verify(cosign, PUBLIC, REFERENCE)) == f"verify {checks} {REFERENCE}"
    assert (
        words(
            arguments.verify_attestation(cosign, PUBLIC, predicate_type=TYPE, reference=REFERENCE)
        )
        == f"verify-attestation {checks} --type {TYPE} {REFERENCE}"
    )


def test_keyless_the_public_log_is_used_and_checked() -> None:
    everything = [
        words(arguments.attest_blob(THREE, statement=Path("s"), bundle=Path("b"))),
        words(arguments.sign(THREE, Keyless(), REFERENCE)),
        words(arguments.verify(THREE, WHO, REFERENCE)),
        words(
            arguments.verify_blob_attestation(
                THREE, ANY_OF, predicate_type=TYPE, envelope=Path("e"), blob=Path("b")
            )
        ),
    ]
    issuer = "--certificate-oidc-issuer https://issuer"
    form = f"--type {TYPE} --bundle e --new-bundle-format=true b"
    assert everything == [
        "attest-blob --yes --new-bundle-format=true --statement s --bundle b",
        f"sign --yes {REFERENCE}",
        f"verify --certificate-identity https://acme/workflow {issuer} {REFERENCE}",
        f"verify-blob-attestation --certificate-identity-regexp ^https://acme/.*$ {issuer} {form}",
    ]
    assert not any("tlog" in line for line in everything)


def test_an_envelope_is_attached_by_digest() -> None:
    assert (
        words(arguments.attach_attestation(TWO, envelope=Path("e.dsse.json"), reference=REFERENCE))
        == f"attach attestation --attestation e.dsse.json {REFERENCE}"
    )


class TestCredential:
    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        path = tmp_path / ".config" / "equivec" / "cosign.key"
        path.parent.mkdir(parents=True)
        path.write_text("key")
        return path

    def test_a_named_key_comes_first(self, tmp_path: Path, key: Path) -> None:
        environment = {
            "EQUIVEC_SIGNING_KEY": str(key),
            "COSIGN_PASSWORD": "",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "token",
        }
        for trust in (Trust(), Trust(identities=(WHO,))):
            assert credential.find(environment, trust, home=tmp_path) == KeyFile(path=key)

    @pytest.mark.parametrize(
        ("environment", "problem"),
        [
            ({"EQUIVEC_SIGNING_KEY": "/absent.key", "COSIGN_PASSWORD": ""}, "no such file"),
            ({"EQUIVEC_SIGNING_KEY": __file__}, "password is not known"),
        ],
    )
    def test_a_named_key_must_be_usable(
        self, tmp_path: Path, environment: dict[str, str], problem: str
    ) -> None:
        with pytest.raises(SigningError, match=problem):
            credential.find(environment, Trust(), home=tmp_path)

    def test_an_identity_signs_where_identities_are_trusted(self, tmp_path: Path) -> None:
        for variable in credential.IDENTITY_VARIABLES:
            environment = {variable: "token"}
            trust = Trust(identities=(WHO,))
            assert credential.find(environment, trust, home=tmp_path) == Keyless()
            assert isinstance(credential.find(environment, Trust(), home=tmp_path), Absent)

    def test_the_key_of_the_user_signs_where_keys_are_trusted(
        self, tmp_path: Path, key: Path
    ) -> None:
        environment = {"COSIGN_PASSWORD": "secret"}
        trust = Trust(keys=(PUBLIC,))
        assert credential.find(environment, trust, home=tmp_path) == KeyFile(path=key)
        elsewhere = {**environment, "XDG_CONFIG_HOME": str(key.parents[1])}
        assert credential.find(elsewhere, trust, home=Path("/nowhere")) == KeyFile(path=key)

    @pytest.mark.parametrize(
        ("trust", "environment", "reason"),
        [
            (Trust(), {"COSIGN_PASSWORD": ""}, "names nobody"),
            (Trust(keys=(PUBLIC,)), {}, "COSIGN_PASSWORD is not set"),
            (Trust(keys=(PUBLIC,)), {"XDG_CONFIG_HOME": "/nowhere"}, "there is no key"),
            (Trust(identities=(WHO,)), {"COSIGN_PASSWORD": ""}, "no identity"),
        ],
    )
    def test_nothing_signs_without_a_reason_to_be_told(
        self,
        tmp_path: Path,
        key: Path,
        trust: Trust,
        environment: dict[str, str],
        reason: str,
    ) -> None:
        assert key.exists()
        found = credential.find(environment, trust, home=tmp_path)
        assert isinstance(found, Absent)
        assert reason in found.reason


class TestSigner:
    def unsigned(self, tmp_path: Path) -> Signer:
        project = Project(
            root=ROOT,
            matrix=matrix.load(ROOT / "tests" / "unit" / "matrix.yaml"),
            store=Store(tmp_path),
        )
        return Signer.of(project, {"COSIGN_PASSWORD": "secret-word"}, note=pytest.fail)

    def test_without_a_key_it_says_why(self, tmp_path: Path) -> None:
        signer = self.unsigned(tmp_path)
        made = signer.sign(STATEMENT, MANIFEST)
        assert signer.reason == "`trust` in matrix.yaml names nobody"
        assert made == Attestation(statement=STATEMENT, envelope=None, form="statement")

    def trusting(self, tmp_path: Path) -> Project:
        (tmp_path / "cosign.pub").write_text("-----BEGIN PUBLIC KEY-----\n")
        made = matrix.load(ROOT / "tests" / "unit" / "matrix.yaml")
        who = matrix.Trust(keys=("cosign.pub",), identities=(WHO,))
        return Project(
            root=tmp_path,
            matrix=made.model_copy(update={"trust": who}),
            store=Store(tmp_path / "cache"),
        )

    def test_without_cosign_it_says_why(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def find(*_: object, **__: object) -> Path:
            raise ToolError("cosign is not installed")

        monkeypatch.setattr("builders.tools.find", find)
        project = self.trusting(tmp_path)
        signer = Signer.of(project, {"SIGSTORE_ID_TOKEN": "token"}, note=pytest.fail)
        assert (signer.hand, signer.reason) == (None, "cosign is not installed")

        named = {"EQUIVEC_SIGNING_KEY": str(tmp_path / "cosign.pub"), "COSIGN_PASSWORD": ""}
        with pytest.raises(ToolError):  # whoever names a key wants a signature
            Signer.of(project, named, note=pytest.fail)

    def test_an_old_cosign_does_not_sign_keyless(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("builders.tools.find", lambda *_, **__: Path("cosign"))
        project, environment = self.trusting(tmp_path), {"SIGSTORE_ID_TOKEN": "token"}
        for answer, reason in (
            (TWO, "/bin/cosign is older than 2.6, which keyless signing needs"),
            (THREE, ""),
        ):
            monkeypatch.setattr("builders.signing.signer.cosign", lambda _, it=answer: it)
            signer = Signer.of(project, environment, note=pytest.fail)
            assert signer.reason == reason
            assert (signer.hand is None) is bool(reason)

    def test_a_statement_about_other_bytes_is_not_signed(self, tmp_path: Path) -> None:
        with pytest.raises(SigningError, match="a statement about"):
            self.unsigned(tmp_path).sign(STATEMENT, MANIFEST + b"\n")

    def test_it_does_not_show_the_password(self, tmp_path: Path) -> None:
        assert "secret-word" not in repr(self.unsigned(tmp_path))

    def test_an_image_is_not_signed_by_nobody(self, tmp_path: Path) -> None:
        with pytest.raises(SigningError, match="names nobody"):
            self.unsigned(tmp_path).sign_image(REFERENCE)


def test_what_is_signed_is_type_and_content() -> None:
    assert dsse.authenticated(b"{}") == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"


def envelope(**more: Any) -> bytes:
    payload = base64.b64encode(statements.to_json(STATEMENT)).decode()
    document = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": payload,
        "signatures": [{"keyid": "", "sig": "MEUC"}],
    }
    return json.dumps({**document, **more}).encode()


def test_an_envelope_holds_the_statement() -> None:
    made = dsse.envelope(statements.to_json(STATEMENT), "MEUC")
    assert statements.from_envelope(made) == STATEMENT
    assert json.loads(made) == json.loads(envelope())
    assert dsse.strict(envelope(), "dsse") == made


@pytest.mark.parametrize(
    "more",
    [
        {"Payload": "b3RoZXI="},
        {"PAYLOADTYPE": "other"},
        {"dsse_envelope": {}},
        {"signatures": [{"keyid": "", "sig": "MEUC", "Sig": "other"}]},
        {"signatures": "none"},
        {"signatures": None},
    ],
)
def test_an_envelope_that_others_could_read_otherwise_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(SigningError, match=r"does not belong there|not a dsse envelope"):
        dsse.strict(envelope(**more), "dsse")


def test_a_bundle_that_others_could_read_otherwise_is_refused() -> None:
    inner = json.loads(envelope())
    bundle = {"mediaType": "m", "verificationMaterial": {}, "dsseEnvelope": inner}
    assert json.loads(dsse.strict(json.dumps(bundle).encode(), "sigstore")) == bundle
    for more in ({"dsse_envelope": inner}, {"payload": "b3RoZXI="}):
        with pytest.raises(SigningError, match="does not belong there"):
            dsse.strict(json.dumps({**bundle, **more}).encode(), "sigstore")
    with pytest.raises(SigningError, match="does not belong there"):
        dsse.strict(envelope(), "sigstore")


class TestVerify:
    """What is refused before cosign is asked: it is not there."""

    def refused(self, attestation: Attestation, manifest: bytes = MANIFEST) -> str:
        absent = Cosign(program=Path("/nowhere/cosign"), has_bundles=False)
        with pytest.raises(SigningError) as caught:
            verify(attestation, manifest, Trust(keys=(PUBLIC,)), absent)
        return caught.value.problem

    def test_unsigned(self) -> None:
        unsigned = Attestation(statement=STATEMENT, envelope=None, form="statement")
        assert self.refused(unsigned) == "is not signed"

    def test_about_another_manifest(self) -> None:
        signed = Attestation(statement=STATEMENT, envelope=envelope(), form="dsse")
        assert "is not about sha256:" in self.refused(signed, MANIFEST + b" ")

    def test_told_otherwise_than_signed(self) -> None:
        told = Statement(
            kind=STATEMENT.kind,
            subject_name=STATEMENT.subject_name,
            digest=DIGEST,
            predicate={"result": "FAILED"},
        )
        false = Attestation(statement=told, envelope=envelope(), form="dsse")
        assert self.refused(false) == "does not state what was signed"

    def test_a_cosign_that_does_not_run_verifies_nothing(self) -> None:
        signed = Attestation(statement=STATEMENT, envelope=envelope(), form="dsse")
        assert "cannot start /nowhere/cosign" in self.refused(signed)

    def test_a_bundle_needs_an_identity(self) -> None:
        bundle = {"mediaType": "", "verificationMaterial": {}, "dsseEnvelope": {}}
        content = json.dumps({**bundle, "dsseEnvelope": json.loads(envelope())}).encode()
        signed = Attestation(statement=STATEMENT, envelope=content, form="sigstore")
        assert "signed by nobody" in self.refused(signed)


class TestKeys:
    def refused(self, tmp_path: Path, environment: dict[str, str], private: Path) -> str:
        absent = Cosign(program=Path("/nowhere/cosign"), has_bundles=False)
        with pytest.raises(SigningError) as caught:
            keys.make(
                absent,
                private=private,
                public=tmp_path / "checkout" / "cosign.pub",
                checkout=tmp_path / "checkout",
                environment=environment,
            )
        return caught.value.problem

    def test_there_must_be_a_password(self, tmp_path: Path) -> None:
        assert "there is none" in self.refused(tmp_path, {}, tmp_path / "k")

    def test_the_private_key_is_not_in_the_checkout(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "checkout")
        for place in ("checkout", "link"):
            problem = self.refused(tmp_path, {"COSIGN_PASSWORD": ""}, tmp_path / place / "k")
            assert "in the checkout" in problem

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "k").symlink_to("nowhere")
        problem = self.refused(tmp_path, {"COSIGN_PASSWORD": ""}, tmp_path / "k")
        assert "is there already" in problem
        (tmp_path / "checkout").mkdir()
        (tmp_path / "checkout" / "cosign.pub").write_text("older")
        problem = self.refused(tmp_path, {"COSIGN_PASSWORD": ""}, tmp_path / "new")
        assert "is there already" in problem

    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        problem = self.refused(tmp_path, {"COSIGN_PASSWORD": ""}, tmp_path / "home" / "k")
        assert "cannot start" in problem
        assert list((tmp_path / "home").iterdir()) == []


class TestWhatPeopleAreTold:
    def test_a_key_that_is_found_by_itself_need_not_be_named(self) -> None:
        private = credential.default_key({}, Path.home())
        told = "\n".join(keys_command.lines(private, ROOT / "cosign.pub", {}))
        assert "EQUIVEC_SIGNING_KEY" not in told
        assert "export COSIGN_PASSWORD=…" in told
        assert "keys: [cosign.pub]" in told
        assert "copy it" not in told

    def test_another_is_named_and_a_public_key_elsewhere_is_copied(self) -> None:
        told = "\n".join(keys_command.lines(Path("/k/a.key"), Path("/k/a.pub"), {}))
        assert "export EQUIVEC_SIGNING_KEY=/k/a.key" in told
        assert "copy it into the checkout" in told
        assert "keys: [a.pub]" in told

    def test_a_password_is_asked_for_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = iter(["one", "other", "one", "one"])
        monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
        with pytest.raises(SigningError, match="differ"):
            keys_command._password()
        assert keys_command._password() == "one"
