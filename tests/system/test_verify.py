"""A stranger verifies what is in a registry: with our command, and with those of other tools.

The registry is Debian's, over TLS and with a password; cosign, oras and skopeo are the real ones.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builders import publication, tools
from builders.attestation.statement import Kind
from builders.errors import RegistryError, VerifyError
from builders.files import canonical_json
from builders.formats.oci import INDEX
from builders.listing import TESTED
from builders.paths import ROOT
from builders.publication import PassedImage
from builders.registry.client import Registry
from builders.registry.client import registry as registry_of
from builders.registry.publish import Publisher
from builders.registry.seal import Seal
from builders.signing import Cosign, Signer, Trust, keys
from builders.signing.cosign import cosign as probed
from builders.signing.credential import KeyFile
from builders.signing.signer import Hand
from builders.store import cache_directory
from builders.target import RegistryTarget
from tests.system import registries
from tests.system.registries import Server
from tests.unit.published_images import NAME, Publication, publish

PASSWORD = "correct horse"  # noqa: S105 (of keys that the tests make)
SHOWN = re.compile(r"<!-- a stranger's commands -->\n```sh\n(.*?)```", re.DOTALL)
KIND_FILES = ("test-result.json", "provenance.json", "sbom.json")


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """Somebody with a public key, an account at the registry, and nothing else of ours.

    Attributes:
        home: Where the key is.
        environment: Names the account, and who vouches for the registry.
    """

    home: Path
    environment: dict[str, str]

    def verify(self, reference: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run our command."""
        return subprocess.run(
            [sys.executable, "-m", "builders", "verify", reference, *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def trusting(self, reference: str) -> subprocess.CompletedProcess[str]:
        """Run our command, and trust the key."""
        return self.verify(reference, "--key", str(self.home / "cosign.pub"))


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A registry with an image in it.

    Attributes:
        made: What was published.
        target: Where.
    """

    server: Server
    made: Publication
    target: RegistryTarget
    stranger: Stranger

    @property
    def image(self) -> str:
        return self.target.reference(NAME)

    @property
    def registry(self) -> Registry:
        return self.target.registry


@pytest.fixture(scope="module")
def cosign() -> Cosign:
    return probed(tools.find("cosign", cache_directory(), note=print))


def signer(cosign: Cosign, home: Path) -> Signer:
    """Return somebody with a key pair of their own."""
    environment = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    private, public = home / "private" / "cosign.key", home / "cosign.pub"
    home.mkdir(parents=True)
    keys.make(
        cosign, private=private, public=public, checkout=home / "none", environment=environment
    )
    hand = Hand(cosign=cosign, credential=KeyFile(path=private))
    return Signer(hand=hand, reason="", _environment=environment)


@pytest.fixture(scope="module")
def ours(cosign: Cosign, tmp_path_factory: pytest.TempPathFactory) -> tuple[Signer, Path]:
    home = tmp_path_factory.mktemp("ours") / "home"
    return signer(cosign, home), home


@dataclass(frozen=True, kw_only=True)
class Stock:
    """What was published, and the files of the registry that it was published in."""

    made: Publication
    storage: Path


@pytest.fixture(scope="module")
def stock(
    tmp_path_factory: pytest.TempPathFactory, ours: tuple[Signer, Path], cosign: Cosign
) -> Stock:
    """An image, published and signed by us, once."""
    place = tmp_path_factory.mktemp("stock")
    hand, _ = ours
    made = publish(place / "made", hand.sign)
    with registries.serving(place / "registry") as server:
        bring(made, reached(server), *ours, cosign)
    return Stock(made=made, storage=server.storage)


@pytest.fixture
def shop(
    tmp_path: Path, stock: Stock, ours: tuple[Signer, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A registry of the test's own with that image in it."""
    shutil.copytree(stock.storage, tmp_path / "registry" / "storage")
    with registries.serving(tmp_path / "registry", users=True, tls=True) as server:
        account = registries.log_in(tmp_path / "docker", server.host)
        monkeypatch.setenv("DOCKER_CONFIG", str(account))
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        environment = {
            name: value for name, value in os.environ.items() if name != "COSIGN_PASSWORD"
        }
        yield Shop(
            server=server,
            made=stock.made,
            target=reached(server),
            stranger=Stranger(home=ours[1], environment=environment),
        )


def reached(server: Server, name: str = NAME) -> RegistryTarget:
    """Return a registry as a publication that may hold an image."""
    return RegistryTarget(
        where=f"docker://{server.host}",
        root=server.host,
        names=(name,),
        registry=registry_of(cache_directory(), note=print),
    )


def bring(
    made: Publication,
    target: RegistryTarget,
    hand: Signer,
    home: Path,
    cosign: Cosign,
    *,
    name: str = NAME,
) -> None:
    """Publish to a registry, as the main job does."""
    trust = Trust(keys=(home / "cosign.pub",))
    here = {**os.environ, "COSIGN_PASSWORD": PASSWORD}  # names the account at the registry
    seal = Seal(signer=replace(hand, _environment=here), trust=trust, cosign=lambda: cosign)
    publisher = Publisher(source=made.target, engine=None, seal=seal, note=print)
    publisher.publish(target, [name])


def test_a_stranger_verifies_an_image(shop: Shop) -> None:
    done = shop.stranger.trusting(f"{shop.image}:{TESTED}")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("verified: ")
    assert f"{shop.image}@{shop.made.index}" in done.stdout
    # The index with its signature and result; each platform with content, signature and all kinds.
    assert done.stdout.count("✓") == 2 + 2 * (2 + len(Kind))
    assert done.stdout.count("signed by the key cosign.pub") == 1 + 2 * len(Kind)


def test_what_nobody_vouches_for_is_called_unsigned(shop: Shop) -> None:
    done = shop.stranger.verify(f"{shop.image}@{shop.made.index}")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "trusted: nobody" in done.stdout
    assert "signed, by nobody who is known here" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("unsigned: ")


def test_the_commands_of_other_tools_are_as_documented(shop: Shop, tmp_path: Path) -> None:
    cache = cache_directory()
    programs = [tools.find(name, cache, note=print) for name in ("cosign", "oras", "skopeo")]
    place = tmp_path / "stranger"
    place.mkdir()
    (place / "cosign.pub").write_bytes((shop.stranger.home / "cosign.pub").read_bytes())
    commands = "\n".join(SHOWN.findall((ROOT / "docs" / "verify.md").read_text("utf-8")))
    used = ("cosign verify ", "cosign verify-attestation", "oras discover", "skopeo inspect")
    assert all(name in commands for name in used)
    path = os.pathsep.join([*(str(each.parent) for each in programs), os.environ["PATH"]])
    variables = {"IMAGE": shop.image, "TAG": TESTED, "PATH": path}

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=place,
        env={**shop.stranger.environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    amd64 = shop.made.verdicts["linux/amd64"].subject.digest.removeprefix("sha256:")
    assert done.stdout.splitlines()[-1] == f"{amd64} PASSED"
    assert shop.made.index in done.stdout
    assert all((place / name).stat().st_size > 0 for name in KIND_FILES)
    for kind in Kind:
        assert str(kind) in done.stdout + done.stderr, "oras lists what is attached"


def test_a_signature_by_another_key_is_none(shop: Shop, cosign: Cosign, tmp_path: Path) -> None:
    signer(cosign, tmp_path / "others")
    done = shop.stranger.verify(
        f"{shop.image}:{TESTED}", "--key", str(tmp_path / "others" / "cosign.pub")
    )
    assert done.returncode == VerifyError.exit_code
    assert done.stdout.count("✗ test-result  not to be trusted") == 3
    assert done.stdout.count("✗ signature") == 3
    assert done.stdout.splitlines()[-1].startswith("refused: ")


def test_what_others_attach_is_left_aside(shop: Shop, cosign: Cosign, tmp_path: Path) -> None:
    """Whoever may write to the registry states that the image holds nothing."""
    digest = shop.made.verdicts["linux/amd64"].subject.digest
    attested = tmp_path / "attestations"
    shutil.copytree(shop.made.target.attested, attested)
    changed = replace(shop.made, target=replace(shop.made.target, attested=attested))
    other = signer(cosign, tmp_path / "others")
    false = replace(shop.made.stated(digest, Kind.SBOM), predicate={"components": []})
    changed.state(false, other.sign)
    bring(changed, shop.target, other, tmp_path / "others", cosign)

    done = shop.stranger.trusting(f"{shop.image}:{TESTED}")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "(1 by others: left aside)" in done.stdout


def test_a_verdict_that_was_edited_by_a_byte_is_found(shop: Shop, tmp_path: Path) -> None:
    shutil.copytree(shop.made.target.directory.parent, tmp_path / "dist")
    digest = shop.made.verdicts["linux/amd64"].subject.digest
    file = tmp_path / "dist" / "attestations" / digest.replace(":", "-") / "test-result.dsse.json"
    reference = f"oci:{tmp_path / 'dist' / 'images'}"
    assert shop.stranger.trusting(reference).returncode == 0
    envelope = json.loads(file.read_bytes())
    payload = base64.b64decode(envelope["payload"])
    assert payload.count(b'"cpu":"x"') == 1
    envelope["payload"] = base64.b64encode(payload.replace(b'"cpu":"x"', b'"cpu":"y"')).decode()
    file.write_bytes(canonical_json(envelope))

    done = shop.stranger.trusting(reference)

    assert done.returncode == VerifyError.exit_code
    assert done.stdout.count("✗ test-result  not to be trusted") == 1
    assert "✓ test-result" in done.stdout  # of the index, and of the other platform


def test_a_blob_that_was_altered_in_the_registry_is_found(shop: Shop) -> None:
    digest = shop.made.verdicts["linux/amd64"].subject.digest
    # Of the configuration alone, the other platform has another.
    config = json.loads(shop.made.target.manifest(NAME, digest))["config"]
    file = shop.server.blob(config["digest"])
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    done = shop.stranger.trusting(f"{shop.image}:{TESTED}")

    assert done.returncode == VerifyError.exit_code, done.stdout + done.stderr
    assert "✗ content      the registry refuses: Error: failed to ingest: mismatched digest" in (
        done.stdout
    )
    assert done.stdout.count("✓ content") == 1


def test_a_manifest_that_was_altered_in_the_registry_is_found(shop: Shop) -> None:
    file = shop.server.blob(shop.made.verdicts["linux/arm64"].subject.digest)
    file.write_bytes(file.read_bytes().replace(b"sha256:", b"sha256:", 1) + b" ")
    done = shop.stranger.trusting(f"{shop.image}:{TESTED}")
    assert done.returncode == VerifyError.exit_code, done.stdout + done.stderr
    assert "✗ content" in done.stdout


def test_another_index_under_the_tag_is_found(shop: Shop) -> None:
    """One platform was taken out: each manifest is still the tested one."""
    repository = shop.target.repository(NAME)
    index = json.loads(shop.registry.manifest(repository.at(shop.made.index)))
    index["manifests"] = index["manifests"][:1]
    assert index["mediaType"] == INDEX
    shop.registry.put(repository.tagged(TESTED), canonical_json(index))

    done = shop.stranger.trusting(f"{shop.image}:{TESTED}")

    assert done.returncode == VerifyError.exit_code
    assert "✗ test-result  absent: nobody states anything" in done.stdout
    assert done.stdout.count("✗ signature") == 1
    assert shop.stranger.trusting(f"{shop.image}@{shop.made.index}").returncode == 0


def test_a_genuine_image_under_the_name_of_another_is_found(
    shop: Shop, ours: tuple[Signer, Path], cosign: Cosign, tmp_path: Path
) -> None:
    other = "equivec/onnxruntime-bge"
    renamed = as_another(shop.made, other, tmp_path)
    target = reached(shop.server, other)
    bring(renamed, target, *ours, cosign, name=other)
    target.put_tag(other, "latest", shop.made.index)

    done = shop.stranger.trusting(target.reference(other))

    assert done.returncode == VerifyError.exit_code
    assert f"it is {NAME}, published as {other}" in done.stdout
    assert done.stdout.count("✗") == len(shop.made.verdicts)
    key = str(shop.stranger.home / "cosign.pub")
    meant = shop.stranger.verify(target.reference(other), "--key", key, "--name", NAME)
    assert meant.returncode == 0, meant.stdout


def as_another(made: Publication, name: str, where: Path) -> Publication:
    """Publish the same images in a directory, with all that is stated of them, as another one."""
    images = []
    for platform, verdict in made.verdicts.items():
        layout = where / platform.replace("/", "-")
        digest = verdict.subject.digest
        made.target.copy(NAME, digest, layout)
        images.append(PassedImage(name=name, platform=platform, layout=layout, digest=digest))
    publication.publish(where / "images", images, ())
    return replace(made, target=replace(made.target, directory=where / "images"))


def test_a_tag_that_is_not_there_names_those_that_are(shop: Shop) -> None:
    shop.target.put_tag(NAME, "v1.0.0", shop.made.index)
    done = shop.stranger.trusting(f"{shop.image}:v1.0.1")
    assert done.returncode == VerifyError.exit_code
    assert "there is no tag v1.0.1" in done.stderr
    assert "there are: v1.0.0" in done.stderr


def test_a_registry_that_asks_for_a_password_is_not_a_lie(shop: Shop, tmp_path: Path) -> None:
    """Nothing was looked at: that has another status than what is wrong."""
    environment = {**shop.stranger.environment, "DOCKER_CONFIG": str(tmp_path / "nobody")}
    done = replace(shop.stranger, environment=environment).trusting(f"{shop.image}:{TESTED}")
    assert done.returncode == RegistryError.exit_code, done.stdout + done.stderr
    assert "does not accept the credentials" in done.stderr
    assert "✗" not in done.stdout
