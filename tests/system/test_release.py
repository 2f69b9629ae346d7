"""Releases with the real cosign, a real registry, and a checkout that Git knows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import pytest
import yaml

from builders import plan as plans
from builders import project, publication, source, target, tools
from builders.attestation import files, test_result
from builders.attestation import statement as statements
from builders.attestation.statement import Kind, Statement
from builders.errors import RegistryError, ReleaseError
from builders.files import digest_of
from builders.registry import publish
from builders.release import wanted
from builders.selection import Selection
from builders.signing import Cosign, Signer
from builders.signing import keys as signing_keys
from builders.signing.cosign import cosign as probed
from builders.store import cache_directory
from builders.target import RegistryTarget, Target
from builders.verdict import Verdict
from tests.system import checkouts
from tests.system.checkouts import Checkout, Run
from tests.system.registries import Server, serving
from tests.system.test_registry import noise
from tests.unit import attested

PASSWORD = "of the tests"  # noqa: S105 (of keys that they make)
MODEL, NAME = "tiny", "equivec/onnxruntime-tiny"
TOOLS: tuple[tools.Name, ...] = ("cosign", "oras")
PLATFORMS = ("linux/amd64", "linux/arm64")
TAGS = ("v1.2.3", "1.2", "1", "latest")


@pytest.fixture(scope="module")
def cosign() -> Cosign:
    return probed(tools.find("cosign", cache_directory(), note=print))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tools.find("oras", cache_directory(), note=print)
    with serving(tmp_path_factory.mktemp("registry")) as running:
        yield running


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A checkout with a key, and what was tested and published from it."""

    checkout: Checkout
    key: Path

    @property
    def root(self) -> Path:
        return self.checkout.root

    @property
    def project(self) -> project.Project:
        return project.load(self.root)

    def environment(self, key: Path | None = None) -> dict[str, str]:
        named = {"EQUIVEC_SIGNING_KEY": str(key or self.key), "COSIGN_PASSWORD": PASSWORD}
        return {**os.environ, **named}

    def targets(self) -> tuple[Target, ...]:
        return target.targets(self.project, print)

    @property
    def registry(self) -> RegistryTarget:
        (found,) = target.registries(self.project, print)
        return found

    def commit(self) -> None:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", "x")

    def publish(
        self,
        content: str = "first",
        *,
        change: Callable[[Verdict], Verdict] = lambda verdict: verdict,
        key: Path | None = None,
    ) -> str:
        """Publish images that have passed to the directory and the registry; return the index.

        Args:
            content: Of the images.
            change: Makes another verdict of one that may be released.
            key: What signs, if not the shop's own.
        """
        checkout = self.project
        signer = Signer.of(checkout, self.environment(key), print)
        planned = plans.plan(checkout.matrix, Selection(models=(MODEL,)), "linux/amd64")
        (image,) = wanted.wanted(checkout, planned)
        demands = wanted.demands(checkout)
        passed, verdicts = [], []
        for platform in PLATFORMS:
            layout = self.root.parent / digest_of([content, platform])[7:]
            if layout.exists():
                shutil.rmtree(layout)
            made = noise(layout, platform, f"{content} {platform}".encode(), name=NAME)
            passed.append(made)
            verdicts.append(change(judged(image, demands, platform, made.digest)))
        index = publication.publish(checkout.publication, passed, [])[NAME]
        for verdict in verdicts:
            for kind in Kind:
                self.state(signer, attested.statement(verdict, kind))
        predicate = test_result.index_predicate(verdicts)
        self.state(
            signer,
            Statement(
                kind=Kind.TEST_RESULT,
                subject_name=NAME,
                digest=index,
                predicate=attested.read_again(predicate),
            ),
        )
        publish.publish(checkout, [NAME], engine=None, signer=signer, note=print)
        return index

    def state(self, signer: Signer, statement: Statement) -> None:
        checkout = self.project
        manifest = publication.document(checkout.publication, statement.digest)
        attestation = signer.sign(statements.from_json(statements.to_json(statement)), manifest)
        files.write(checkout.attestations, attestation)

    @contextlib.contextmanager
    def releasing(self, *words: str, cache: str = "cache") -> Iterator[Run]:
        """Run a release of the model for as long as the block lasts."""
        bins = [str(tools.find(name, cache_directory(), note=print).parent) for name in TOOLS]
        variables = {
            "DOCKER_CONFIG": str(self.root.parent / "no-docker"),
            "EQUIVEC_CACHE": str(self.root.parent / cache),
            "PATH": os.pathsep.join([*bins, os.environ["PATH"]]),
        }
        argv = (sys.executable, "-m", "builders", "release")
        with self.checkout.running(*words, "--model", MODEL, argv=argv, variables=variables) as run:
            yield run

    def release(self, *words: str, status: int = 0) -> str:
        """Run a release of the model to its end; return what it printed."""
        with self.releasing(*words) as run:
            assert run.wait() == status, run.output
            return run.output

    def tags(self) -> list[Mapping[str, str]]:
        return [dict(each.tags(NAME)) for each in self.targets()]


def judged(image: wanted.Wanted, demands: wanted.Demands, platform: str, digest: str) -> Verdict:
    """Return a verdict that meets every demand."""
    found = attested.verdict(digest=digest, platform=platform)
    inputs = image.platforms[platform]
    return found.model_copy(
        update={
            "vector_space": image.vector_space,
            "source": demands.source,
            "subject": found.subject.model_copy(update={"name": NAME}),
            "environment": found.environment.model_copy(update={"execution": "native"}),
            "inputs": found.inputs.model_copy(
                update={
                    "debian_lock": inputs.debian_lock,
                    "wheel_lock": inputs.wheel_lock,
                    "model": inputs.model,
                    "suite": demands.suite,
                    "epoch": demands.epoch,
                }
            ),
        }
    )


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
    subprocess.run(("git", "-C", str(root), *who, *words), check=True)


def pair(cosign: Cosign, root: Path, directory: Path, public: Path) -> Path:
    """Make a key pair; return the private key."""
    private = directory / "cosign.key"
    signing_keys.make(
        cosign,
        private=private,
        public=public,
        checkout=root,
        environment={**os.environ, "COSIGN_PASSWORD": PASSWORD},
    )
    return private


def opened(tmp_path: Path, cosign: Cosign, server: Server, trust: Mapping[str, object]) -> Shop:
    """Return a checkout whose one model is no fixture; its registry's folder is its own."""
    root = tmp_path / "checkout"
    checkout = checkouts.copy(root, tmp_path / "cache", {})
    content = yaml.safe_load((root / "matrix.yaml").read_text("utf-8"))
    fixture = content["models"]["fixture-768"]
    lock = json.loads((root / "images/models/fixture-768.json").read_text("utf-8"))
    weights = lock["formats"]["sentence-transformers"]["model.safetensors"]
    content["models"] = {
        MODEL: {
            **fixture,
            "source": "file:weights",
            "formats": ["onnx"],
            "files": {"model.safetensors": weights},
        }
    }
    content["backends"] = {"onnxruntime": content["backends"]["onnxruntime"]}
    content["default"] = {}
    content["publication"] = ["oci:dist/images", f"docker://{server.host}/{tmp_path.name.lower()}"]
    content["trust"] = dict(trust)
    (root / "matrix.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (root / f"images/models/{MODEL}.json").write_text(json.dumps(lock), encoding="utf-8")
    (root / ".gitignore").write_text("/dist/\n__pycache__/\n", encoding="utf-8")
    key = pair(cosign, root, tmp_path / "user", root / "cosign.pub")
    git(root, "init", "--quiet")
    made = Shop(checkout=checkout, key=key)
    made.commit()
    assert source.of(root).clean
    return made


@pytest.fixture
def trusting(tmp_path: Path, cosign: Cosign, server: Server) -> Shop:
    """A shop that asks for signatures by its key."""
    return opened(tmp_path, cosign, server, {"keys": ["cosign.pub"]})


@pytest.fixture
def shop(tmp_path: Path, cosign: Cosign, server: Server) -> Shop:
    """A shop that asks for no signatures: what is tested with it is something else."""
    return opened(tmp_path, cosign, server, {})


def test_a_release_is_shown_made_and_repeated(trusting: Shop) -> None:
    shop = trusting
    index = shop.publish()

    shown = shop.release("v1.2.3", "--dry-run")
    assert shop.tags() == [{}, {}]
    assert shown.count("signed by the key cosign.pub") == 4
    assert "8 tags would be put, and none was" in shown

    assert "v1.2.3 is released: 8 tags put" in shop.release("v1.2.3")
    assert shop.tags() == [dict.fromkeys(TAGS, index)] * 2
    assert "was released already" in shop.release("v1.2.3")

    second = shop.publish("second")
    refused = shop.release("v1.2.3", status=ReleaseError.exit_code)
    assert f"v1.2.3 is on {index}, and a version never moves" in refused
    shop.release("v1.3.0")
    assert (
        shop.tags()
        == [
            {"v1.2.3": index, "1.2": index}
            | dict.fromkeys(("v1.3.0", "1.3", "1", "latest"), second)
        ]
        * 2
    )


def test_killed_after_every_tag_it_is_finished_by_the_same_command(shop: Shop) -> None:
    index = shop.publish()
    done = 0
    while done < 2 * len(TAGS):
        with shop.releasing("v1.2.3") as run:
            run.until(f" -> {index}")
            run.signal(SIGKILL)
            run.wait()
        found = shop.tags()
        assert all(set(tags.values()) == {index} or not tags for tags in found)
        if any("latest" in tags for tags in found):
            assert all("v1.2.3" in tags for tags in found)
        now = sum(map(len, found))
        assert now > done
        done = now
    assert "was released already" in shop.release("v1.2.3")
    assert shop.tags() == [dict.fromkeys(TAGS, index)] * 2


def test_an_older_verdict_that_was_replayed_is_refused_though_it_is_signed(trusting: Shop) -> None:
    def older(verdict: Verdict) -> Verdict:
        inputs = verdict.inputs.model_copy(update={"suite": attested.sha("0")})
        return verdict.model_copy(update={"inputs": inputs})

    trusting.publish(change=older)

    refused = trusting.release("v1.2.3", status=ReleaseError.exit_code)

    assert refused.count("linux/arm64: judged by other tests") == 2
    assert trusting.tags() == [{}, {}]


def test_only_what_a_trusted_key_has_signed_counts(
    trusting: Shop, cosign: Cosign, server: Server
) -> None:
    private = trusting.root.parent / "other"
    other = pair(cosign, trusting.root, private, private.with_suffix(".pub"))
    index = trusting.publish()
    folder = files.place(trusting.project.attestations, index)
    signed = folder / "test-result.dsse.json"
    kept = signed.read_bytes()
    statement = statements.from_envelope(kept)

    def refused() -> str:
        return trusting.release("v1.2.3", status=ReleaseError.exit_code)

    by_other = Signer.of(trusting.project, trusting.environment(other), print)
    trusting.state(by_other, statement)
    assert "index: no test result that counts: was changed, or is signed by nobody" in refused()

    document = json.loads(kept)
    payload = document["payload"]
    edited = payload[:400] + ("A" if payload[400] != "A" else "B") + payload[401:]
    signed.write_text(json.dumps({**document, "payload": edited}), encoding="utf-8")
    refused()

    signed.unlink()
    unsigned = folder / "test-result.statement.json"
    unsigned.write_bytes(statements.to_json(statement))
    assert "index: no test result that counts: is not signed" in refused()

    assert trusting.tags() == [{}, {}]
    unsigned.unlink()
    signed.write_bytes(kept)
    trusting.release("v1.2.3")

    repository = (
        server.storage / "docker/registry/v2/repositories" / trusting.registry.repository(NAME).path
    )
    shutil.rmtree(repository / "_manifests/tags" / f"{index.replace(':', '-')}.sig")
    told = trusting.release("v1.2.4", status=ReleaseError.exit_code)
    assert told.count("index: no signature that counts: not signed by anyone") == 1


def test_a_dirty_checkout_releases_nothing(shop: Shop) -> None:
    shop.publish()
    (shop.root / "images" / "base" / "new.txt").write_text("x")

    refused = shop.release("v1.2.3", status=ReleaseError.exit_code)

    assert "changes that are not committed" in refused
    assert shop.tags() == [{}, {}]


def test_another_revision_than_was_tested_releases_nothing(shop: Shop) -> None:
    shop.publish()
    (shop.root / "NEWS").write_text("x")
    shop.commit()

    refused = shop.release("v1.2.3", status=ReleaseError.exit_code)

    assert "linux/amd64: of revision" in refused


def test_an_index_that_was_replaced_in_the_registry_is_refused(shop: Shop) -> None:
    first = shop.publish()
    registry = shop.registry
    index = json.loads(registry.manifest(NAME, first))
    index["manifests"] = index["manifests"][:1]
    content = json.dumps(index).encode()
    replaced = f"sha256:{hashlib.sha256(content).hexdigest()}"
    registry.registry.put(registry.repository(NAME).at(replaced), content)
    registry.put_tag(NAME, "tested", replaced)

    refused = shop.release("v1.2.3", status=ReleaseError.exit_code)

    assert "index: no test result" in refused
    assert "linux/arm64: required by release.platforms, and not published" in refused
    assert shop.tags() == [{}, {}]


@pytest.mark.parametrize(
    ("cache", "ends"),
    [("cache", {0}), ("another machine's", {0, ReleaseError.exit_code})],
    ids=["one-machine", "two-machines"],
)
def test_two_releases_at_once_leave_every_tag_on_what_was_verified(
    shop: Shop, cache: str, ends: set[int]
) -> None:
    index = shop.publish()
    with (
        shop.releasing("v1.2.3") as one,
        shop.releasing("v1.2.4", cache=cache) as two,
    ):
        ended = {one.wait(), two.wait()}

    assert ended <= ends
    for tags in shop.tags():
        assert set(tags.values()) == {index}
    shop.release("v1.2.4")
    shop.release("v1.2.3")
    assert shop.tags() == [dict.fromkeys((*TAGS, "v1.2.4"), index)] * 2


def test_a_registry_that_is_down_is_told_and_nothing_is_tagged(shop: Shop) -> None:
    shop.publish()
    content = yaml.safe_load((shop.root / "matrix.yaml").read_text("utf-8"))
    content["publication"][1] = "docker://127.0.0.1:9/nobody"
    (shop.root / "matrix.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    shop.commit()

    told = shop.release("v1.2.3", status=RegistryError.exit_code)

    assert "the registry cannot be reached" in told
    assert shop.targets()[0].tags(NAME) == {}
