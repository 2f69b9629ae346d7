"""Publication in a real registry: plainly, with users, over TLS, and when it goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest

from builders import publication, tools
from builders.attestation import files
from builders.attestation import statement as statements
from builders.attestation.statement import Kind, Statement
from builders.engine import Engine, connection
from builders.engine import images as engine_images
from builders.engine.pushing import push
from builders.errors import RegistryError, SigningError
from builders.files import canonical_json
from builders.formats import layout, oci
from builders.listing import TESTED
from builders.process import run
from builders.publication import PassedImage
from builders.registry import arguments, artifact, attached
from builders.registry.arguments import Arguments
from builders.registry.attached import Attested
from builders.registry.client import Registry, digest_of
from builders.registry.faults import Fault, Patience, RegistryFault, patiently
from builders.registry.publish import Publisher, platforms
from builders.registry.reference import Reference
from builders.registry.seal import Seal
from builders.signing import arguments as cosign_arguments
from builders.signing.cosign import Cosign, cosign, run_cosign
from builders.signing.signer import Signer
from builders.signing.trust import Trust
from builders.store import cache_directory
from builders.target import OciTarget, RegistryTarget
from tests.system.conftest import Images
from tests.system.registries import Faulty, Server, free_port, log_in, serving
from tests.system.test_signing import pair, signer_of

NAME = "equivec/a-b"
QUICK = Patience(delays=(0.05, 0.1, 0.2))


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without any credentials."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker"))


@pytest.fixture(scope="module")
def oras() -> Path:
    return tools.find("oras", cache_directory(), note=print)


@pytest.fixture(scope="module")
def cosign2() -> Cosign:
    return cosign(tools.find("cosign", cache_directory(), note=print))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("registry")) as running:
        yield running


@dataclass(frozen=True, kw_only=True)
class Local:
    """A publication in a directory, of images that hold only noise."""

    root: Path

    @property
    def target(self) -> OciTarget:
        return OciTarget(
            where="oci:images", directory=self.root / "images", attested=self.root / "attestations"
        )

    def add(self, platform: str, layer: bytes, *, name: str = NAME) -> str:
        """Publish an image of one layer, and return its index's digest."""
        directory = self.root / hashlib.sha256(layer).hexdigest()
        image = noise(directory, platform, layer, name=name)
        return self.add_image(image)

    def add_image(self, image: PassedImage) -> str:
        digest = publication.publish(self.target.directory, [image], [])[image.name]
        index = self.target.index(image.name)
        for each in (*platforms(index), digest):
            self.attest(each)
        return digest

    def attest(self, digest: str) -> None:
        statement = Statement(
            kind=Kind.TEST_RESULT, subject_name="x", digest=digest, predicate={"result": "PASSED"}
        )
        content = statements.to_json(statement)
        files.write(self.target.attested, statements.attestation(content, "statement"))


def noise(directory: Path, platform: str, layer: bytes, *, name: str = NAME) -> PassedImage:
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(blob: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(blob).hexdigest()
        (blobs / digest).write_bytes(blob)
        return {"digest": f"sha256:{digest}", "size": len(blob), "mediaType": media_type}

    system, _, architecture = platform.partition("/")
    config = {"os": system, "architecture": architecture, "rootfs": {"type": "layers"}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST,
        "config": add(canonical_json(config), oci.CONFIG),
        "layers": [add(layer, "application/vnd.oci.image.layer.v1.tar")],
    }
    digest = str(add(canonical_json(manifest), oci.MANIFEST)["digest"])
    return PassedImage(name=name, platform=platform, layout=directory, digest=digest)


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(root=tmp_path)


def unsigned() -> Seal:
    signer = Signer(hand=None, reason="the tests have no key", _environment={})
    return Seal(signer=signer, trust=Trust(), cosign=lambda: pytest.fail("asked for cosign"))


def at(host: str, path: str, oras: Path, *, patience: Patience = QUICK) -> RegistryTarget:
    notes: list[str] = []
    registry = Registry(oras=oras, note=notes.append, patience=patience)
    return RegistryTarget(
        where=f"docker://{host}/{path}", root=f"{host}/{path}", names=(NAME,), registry=registry
    )


def publisher(local: Local, *, seal: Seal | None = None) -> Publisher:
    return Publisher(source=local.target, engine=None, seal=seal or unsigned(), note=lambda _: None)


def assert_published(destination: RegistryTarget, local: Local, *, name: str = NAME) -> None:
    """What the directory has is in the registry: byte by byte, attested, and tagged."""
    index = local.target.index(name)
    assert destination.index(name) == index
    assert destination.tag(name, TESTED) == digest_of(index)
    for digest in (*platforms(index), digest_of(index)):
        assert destination.manifest(name, digest) == local.target.manifest(name, digest)
        assert destination.attestations(name, digest) == local.target.attestations(name, digest)


def test_what_passed_is_published_and_read_back(
    server: Server, oras: Path, local: Local, tmp_path: Path
) -> None:
    local.add("linux/amd64", b"amd64")
    digest = local.add("linux/arm64", b"arm64")
    there = at(server.host, "plain", oras)
    assert there.indexes() == {}
    assert there.tag(NAME, TESTED) is None

    publisher(local).publish(there, [NAME])

    assert there.indexes() == {NAME: digest}
    assert_published(there, local)
    assert there.tags(NAME) == {}
    there.put_tag(NAME, "v1.0.0", digest)
    assert there.tags(NAME) == {"v1.0.0": digest}
    for platform in platforms(local.target.index(NAME)):
        there.copy(NAME, platform, tmp_path / platform)
        manifest = (tmp_path / platform / "blobs/sha256" / platform[7:]).read_bytes()
        assert digest_of(manifest) == platform


def test_publishing_again_writes_nothing(server: Server, oras: Path, local: Local) -> None:
    local.add("linux/amd64", b"again")
    there = at(server.host, "again", oras)
    publisher(local).publish(there, [NAME])
    written = Counted.of(there.registry)
    publisher(local).publish(replace_registry(there, written), [NAME])
    assert written.writes == []
    assert_published(there, local)


def test_a_failed_platform_leaves_the_index(server: Server, oras: Path, local: Local) -> None:
    local.add("linux/amd64", b"stays")
    local.add("linux/arm64", b"goes")
    there = at(server.host, "withdrawn", oras)
    publisher(local).publish(there, [NAME])
    publication.publish(local.target.directory, [], [(NAME, "linux/arm64")])
    local.attest(local.target.indexes()[NAME])
    publisher(local).publish(there, [NAME])
    assert list(platforms(there.index(NAME)).values()) == ["linux/amd64"]
    assert_published(there, local)


def test_what_nobody_attests_is_not_published(server: Server, oras: Path, local: Local) -> None:
    digest = local.add("linux/amd64", b"unsaid")
    there = at(server.host, "unsaid", oras)
    trusting = unsigned()
    trusting = Seal(signer=trusting.signer, trust=Trust(keys=(local.root,)), cosign=trusting.cosign)
    with pytest.raises(SigningError, match="is not signed: the tests have no key"):
        publisher(local, seal=trusting).publish(there, [NAME])
    for path in files.place(local.target.attested, digest).iterdir():
        path.unlink()
    with pytest.raises(SigningError, match="no test result says that it passed"):
        publisher(local).publish(there, [NAME])
    assert there.registry.tags(there.repository(NAME)) == ()


def test_the_engine_pushes_what_was_tested(
    server: Server, oras: Path, local: Local, private: Engine, images: Images
) -> None:
    there = at(server.host, "engine", oras)
    for built in (images.native, images.foreign):
        image = PassedImage(
            name=NAME,
            platform=built.platform,
            layout=built.directory,
            digest=built.manifest_digest,
        )
        local.add_image(image)
    notes: list[str] = []
    with connection.connect(private.environment) as client:
        for built in (images.native, images.foreign):
            engine_images.load(client, built)
        Publisher(source=local.target, engine=client, seal=unsigned(), note=notes.append).publish(
            there, [NAME]
        )
        names = {name for image in client.images.list() for name in image.tags}
    assert sum(note.startswith("pushing ") for note in notes) == 2
    log = (server.storage.parent / "registry.log").read_text().splitlines()
    puts = [line for line in log if "method=PUT" in line and "/engine/" in line]
    by_engine = [line for line in puts if 'useragent="docker/' in line and "/manifests/" in line]
    assert len(by_engine) == 2, puts
    assert not any(server.host in name for name in names)
    assert_published(there, local)
    for built in (images.native, images.foreign):
        for layer in built.layers:
            assert digest_of(server.blob(layer.digest).read_bytes()) == layer.digest


def test_a_cut_push_of_the_engine_goes_on(
    oras: Path, private: Engine, images: Images, tmp_path: Path
) -> None:
    built = images.native
    with (
        # Of its own: of what another repository has, nothing would be sent.
        serving(tmp_path / "registry") as server,
        Faulty(server) as way,
        connection.connect(private.environment) as client,
    ):
        there = at(way.host, "engine-cut", oras)
        repository = there.repository(NAME)
        digest = engine_images.load(client, built)
        way.cut_after = built.compressed_size // 2
        patiently(partial(push, client, digest, repository.tagged("x")), QUICK, print)
        assert way.cuts == 1
        assert there.tag(NAME, "x") == digest
        there.copy(NAME, digest, tmp_path / "copy")
        assert layout.read(tmp_path / "copy").manifest_digest == digest


def test_a_connection_cut_in_the_middle_of_a_push(server: Server, oras: Path, local: Local) -> None:
    size = 2_000_000
    local.add("linux/amd64", os.urandom(size))
    local.add("linux/arm64", os.urandom(8 * size))
    with Faulty(server) as way:
        way.cut_after = 6 * size
        there = at(way.host, "cut", oras)
        publisher(local).publish(there, [NAME])
        assert way.cuts == 1
        assert way.sent < (6 + 8) * size + size // 2, "what had arrived was sent again"
        assert_published(there, local)


def test_a_registry_that_fails_for_a_while(server: Server, oras: Path, local: Local) -> None:
    local.add("linux/amd64", b"for a while")
    with Faulty(server) as way:
        way.failures = 3
        there = at(way.host, "for-a-while", oras)
        publisher(local).publish(there, [NAME])
        assert way.failures == 0
        assert_published(there, local)


def test_a_registry_that_fails_for_good(server: Server, oras: Path, local: Local) -> None:
    local.add("linux/amd64", b"for good")
    with Faulty(server) as way:
        way.failures = 10_000
        there = at(way.host, "for-good", oras, patience=Patience(delays=()))
        with pytest.raises(RegistryFault) as caught:
            publisher(local).publish(there, [NAME])
        assert caught.value.fault is Fault.SERVER
        way.failures = 0
        assert there.registry.tags(there.repository(NAME)) == ()
        publisher(local).publish(there, [NAME])
        assert_published(there, local)


def test_a_registry_that_is_down(oras: Path, local: Local, tmp_path: Path) -> None:
    local.add("linux/amd64", b"down")
    port = free_port()
    there = at(f"127.0.0.1:{port}", "down", oras)
    with pytest.raises(RegistryFault) as caught:
        publisher(local).publish(there, [NAME])
    assert caught.value.fault is Fault.UNREACHABLE
    with serving(tmp_path / "registry", port=port):
        publisher(local).publish(there, [NAME])
        assert_published(there, local)


def test_a_registry_that_comes_up_meanwhile(oras: Path, local: Local, tmp_path: Path) -> None:
    local.add("linux/amd64", b"meanwhile")
    port = free_port()
    there = at(f"127.0.0.1:{port}", "up", oras, patience=Patience(delays=(0.2,) * 300))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            publisher(local).publish(there, [NAME])
        except BaseException as error:  # noqa: BLE001 (it is the test's to tell)
            failures.append(error)

    working = threading.Thread(target=work)
    working.start()
    time.sleep(0.5)
    with serving(tmp_path / "registry", port=port):
        working.join()
        assert failures == []
        assert_published(there, local)


def test_credentials_are_docker_s_own(  # noqa: PLR0917 (fixtures)
    oras: Path,
    local: Local,
    private: Engine,
    images: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = images.native
    image = PassedImage(
        name=NAME, platform=built.platform, layout=built.directory, digest=built.manifest_digest
    )
    local.add_image(image)

    def publish(server: Server) -> RegistryTarget:
        there = at(server.host, "users", oras)
        with connection.connect(private.environment) as client:
            engine_images.load(client, built)
            whole = Publisher(
                source=local.target, engine=client, seal=unsigned(), note=lambda _: None
            )
            whole.publish(there, [NAME])
        return there

    def refused(server: Server) -> None:
        with pytest.raises(RegistryFault) as caught:
            publish(server)
        assert caught.value.fault is Fault.UNAUTHORIZED
        assert "wrong" not in str(caught.value)

    with serving(tmp_path / "registry", users=True) as server:
        refused(server)
        wrong = log_in(tmp_path / "wrong", server.host, password="wrong")  # noqa: S106 (it opens nothing)
        monkeypatch.setenv("DOCKER_CONFIG", str(wrong))
        refused(server)
        right = log_in(tmp_path / "right", server.host)
        monkeypatch.setenv("DOCKER_CONFIG", str(right))
        assert_published(publish(server), local)


def test_the_engine_s_own_push_tells_wrong_credentials(
    oras: Path,
    private: Engine,
    images: Images,
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "registry", users=True) as server:
        there = at(server.host, "users", oras)
        with connection.connect(private.environment) as client:
            digest = engine_images.load(client, images.native)
            with pytest.raises(RegistryFault) as caught:
                push(client, digest, there.repository(NAME).tagged("x"))
            names = {name for image in client.images.list() for name in image.tags}
        assert caught.value.fault is Fault.UNAUTHORIZED
        assert not any(server.host in name for name in names)


def test_over_tls(  # noqa: PLR0917 (fixtures)
    oras: Path,
    local: Local,
    private: Engine,
    images: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = images.native
    image = PassedImage(
        name=NAME, platform=built.platform, layout=built.directory, digest=built.manifest_digest
    )
    local.add_image(image)
    with serving(tmp_path / "registry", users=True, tls=True) as server:
        monkeypatch.setenv("DOCKER_CONFIG", str(log_in(tmp_path / "right", server.host)))
        there = at(server.host, "tls", oras)
        with pytest.raises(RegistryFault) as caught:
            publisher(local).publish(there, [NAME])
        assert caught.value.fault is Fault.CERTIFICATE

        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        with connection.connect(private.environment) as client:
            engine_images.load(client, built)
            Publisher(source=local.target, engine=client, seal=unsigned(), note=print).publish(
                there, [NAME]
            )
        assert_published(there, local)


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A registry with users and TLS, and a user who may enter and trusts it."""
    with serving(tmp_path / "registry", users=True, tls=True) as running:
        monkeypatch.setenv("DOCKER_CONFIG", str(log_in(tmp_path / "right", running.host)))
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
        yield running


def test_what_is_signed_is_found_by_cosign(
    guarded: Server, oras: Path, local: Local, cosign2: Cosign, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "COSIGN_PASSWORD": "of the tests"}
    environment.pop("EQUIVEC_SIGNING_KEY", None)
    _, public = pair(cosign2, tmp_path / "ours", environment)
    signer = signer_of(tmp_path / "ours", environment)
    digest = local.add("linux/amd64", b"signed")
    (platform,) = platforms(local.target.index(NAME))
    for each in (platform, digest):
        (said,) = local.target.attestations(NAME, each)
        manifest = local.target.manifest(NAME, each)
        files.write(local.target.attested, signer.sign(said.statement, manifest))
    seal = Seal(signer=signer, trust=Trust(keys=(public,)), cosign=lambda: cosign2)
    there = at(guarded.host, "signed", oras)

    publisher(local, seal=seal).publish(there, [NAME])

    assert_published(there, local)
    for each in (platform, digest):
        reference = str(there.repository(NAME).at(each))
        run_cosign(cosign_arguments.verify(cosign2, public, reference), environment)
        argv = cosign_arguments.verify_attestation(
            cosign2, public, predicate_type=str(Kind.TEST_RESULT), reference=reference
        )
        run_cosign(argv, environment)
    before = there.registry.tags(there.repository(NAME)), _layers(there, digest)
    publisher(local, seal=seal).publish(there, [NAME])
    assert before == (there.registry.tags(there.repository(NAME)), _layers(there, digest))


def _layers(there: RegistryTarget, digest: str) -> list[int]:
    """How many signatures and envelopes cosign has put beside an image."""
    repository = there.repository(NAME)
    tags = [f"{artifact.fallback_tag(digest)}.{kind}" for kind in ("sig", "att")]
    manifests = [there.registry.manifest(repository.tagged(tag)) for tag in tags]
    return [len(json.loads(manifest)["layers"]) for manifest in manifests]


def test_an_artifact_that_was_never_listed_is_listed(
    server: Server, oras: Path, local: Local
) -> None:
    digest = local.add("linux/amd64", b"unlisted")
    there = at(server.host, "unlisted", oras)
    publisher(local).publish(there, [NAME])
    repository = there.repository(NAME)
    empty = canonical_json({"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": []})
    there.registry.put(repository.tagged(artifact.fallback_tag(digest)), empty)
    assert there.attestations(NAME, digest) == ()

    publisher(local).publish(there, [NAME])
    assert_published(there, local)


def test_what_was_deleted_there_is_published_again(
    server: Server, oras: Path, local: Local
) -> None:
    local.add("linux/amd64", b"deleted")
    there = at(server.host, "deleted", oras)
    publisher(local).publish(there, [NAME])
    (platform,) = platforms(local.target.index(NAME))
    url = f"http://{server.host}/v2/deleted/{NAME}/manifests/{platform}"
    assert httpx.delete(url).status_code == 202
    with pytest.raises(RegistryFault) as caught:
        there.manifest(NAME, platform)
    assert caught.value.fault is Fault.ABSENT
    publisher(local).publish(there, [NAME])
    assert_published(there, local)


def test_an_attestation_about_something_else_is_told(
    server: Server, oras: Path, local: Local
) -> None:
    digest = local.add("linux/amd64", b"something")
    there = at(server.host, "else", oras)
    publisher(local).publish(there, [NAME])
    (platform,) = platforms(local.target.index(NAME))
    others = local.target.attestations(NAME, platform)
    index = Attested(document=local.target.index(NAME), attestations=others)
    blobs = local.target.directory
    attached.put(there.registry, there.repository(NAME), index, [], blobs)
    with pytest.raises(SigningError, match=f"attached to {digest}, and about {platform}"):
        there.attestations(NAME, digest)


def test_altered_bytes_are_told(server: Server, oras: Path, local: Local, tmp_path: Path) -> None:
    local.add("linux/amd64", b"to be altered")
    there = at(server.host, "altered", oras)
    publisher(local).publish(there, [NAME])
    (platform,) = platforms(local.target.index(NAME))
    layer = digest_of(b"to be altered")
    server.blob(layer).write_bytes(b"TO be altered")
    with pytest.raises(RegistryError):
        there.copy(NAME, platform, tmp_path / "copy")
    with pytest.raises(RegistryError):
        there.registry.blob(there.repository(NAME), layer)


class KilledError(BaseException):
    """In the place of a kill: nothing catches it."""


WRITES: tuple[Callable[..., Arguments], ...] = (
    arguments.push_manifest,
    arguments.copy_from_layout,
    arguments.copy_with_referrers,
    arguments.tag,
)


@dataclass(frozen=True, kw_only=True)
class Counted(Registry):
    """A registry of which is written down what is written to it, and that may end the run."""

    writes: list[str] = field(default_factory=list)
    lives: int = 10_000

    @classmethod
    def of(cls, registry: Registry, *, lives: int = 10_000) -> Counted:
        return cls(oras=registry.oras, note=registry.note, patience=QUICK, lives=lives)

    def _ask(
        self, reference: Reference, words: Callable[..., Arguments], *, seconds: float = 120.0
    ) -> str:
        assert isinstance(words, partial)
        if words.func in WRITES:
            if len(self.writes) == self.lives:
                raise KilledError
            self.writes.append(f"{words.func.__name__} {reference}")
        return super()._ask(reference, words, seconds=seconds)


def replace_registry(there: RegistryTarget, registry: Registry) -> RegistryTarget:
    return RegistryTarget(where=there.where, root=there.root, names=there.names, registry=registry)


def test_killed_between_any_two_writes_the_same_finishes_the_work(
    server: Server, oras: Path, local: Local
) -> None:
    before = local.add("linux/amd64", b"before")
    there = at(server.host, "killed", oras)
    publisher(local).publish(there, [NAME])
    finished = False
    for lives in range(100):
        after = local.add("linux/amd64", f"after {lives}".encode())
        mortal = Counted.of(there.registry, lives=lives)
        try:
            publisher(local).publish(replace_registry(there, mortal), [NAME])
        except KilledError:
            assert there.tag(NAME, TESTED) == before
            assert there.tags(NAME) == {}
            publisher(local).publish(there, [NAME])
        else:
            finished = True
        assert_published(there, local)
        before = after
        if finished:
            assert mortal.writes[-1].startswith("tag ")
            assert lives >= 3
            return
    pytest.fail("it never came to its end")


def test_what_another_client_sees(server: Server, oras: Path, local: Local) -> None:
    digest = local.add("linux/amd64", b"another client")
    there = at(server.host, "client", oras)
    publisher(local).publish(there, [NAME])
    url = f"http://{server.host}/v2/client/{NAME}/manifests/{TESTED}"
    answer = httpx.get(url, headers={"Accept": oci.INDEX})
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.content == local.target.index(NAME)
    tags = httpx.get(f"http://{server.host}/v2/client/{NAME}/tags/list").json()["tags"]
    (platform,) = platforms(local.target.index(NAME))
    assert set(tags) >= {TESTED, f"linux-amd64-{platform[7:]}"}
    assert layout.blob_path(local.target.directory, platform).exists()


def test_another_client_reads_the_directory(local: Local) -> None:
    first = local.add("linux/amd64", b"released")
    publication.put_tag(local.target.directory, NAME, "v1.0.0", first)
    second = local.add("linux/amd64", b"newer")
    skopeo = tools.find("skopeo", cache_directory(), note=print)
    for reference, digest in (("a-b", second), ("a-b:v1.0.0", first)):
        words = ("inspect", "--raw", f"oci:{local.target.directory}:{reference}")
        raw = run((skopeo, *words), timeout=60).stdout.encode()
        assert digest_of(raw) == digest
