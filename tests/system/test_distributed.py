"""The distributed flow: machines that exchange files alone come to what one machine comes to.

Each has a clone of the same commit and a cache of its own (with an engine of its own, where it
needs one). Only the store of inputs is shared, which are downloaded otherwise, each by its sha256.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import engine, publication, tools
from builders import verdict as verdicts
from builders.attestation import files as attestation_files
from builders.attestation import statement as statements
from builders.attestation.statement import Attestation, Kind, Statement
from builders.engine import configuration
from builders.errors import CellsFailedError, MergeError, ReleaseError, SigningError
from builders.matrix import load
from builders.paths import ROOT
from builders.project import Project
from builders.signing import Cosign, Signer, keys
from builders.signing.cosign import cosign as probed
from builders.store import Store, cache_directory
from builders.wheelhouse.build import KIND as BUILT_WHEELS
from tests.system import checkouts
from tests.system.checkouts import Checkout

PASSWORD = "of the tests alone"  # noqa: S105 (of keys that the tests make)
BACKENDS = ("llama-cpp", "onnxruntime")
MODEL = "fixture-768"
ARM64 = "onnxruntime-fixture-768-linux-arm64"
SECONDS = 3 * checkouts.SECONDS
PRIVATE = {engine.ENGINE_VARIABLE: engine.PRIVATE}


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What was done, and where.

    Attributes:
        origin: The repository that all machines cloned.
        cells: The cells of the plan that have images.
        parcels: What was built.
        machines: The result of each proving machine, by its cell.
        outputs: What each printed, by its cell.
        single: The publication of a single machine.
    """

    origin: Path
    cells: tuple[str, ...]
    parcels: Path
    machines: Mapping[str, Path]
    outputs: Mapping[str, str]
    single: Path


@pytest.fixture(scope="module")
def cosign() -> Cosign:
    return probed(tools.find("cosign", cache_directory(), note=print))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's directory in which nothing is: no Docker configuration, no key."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def key(home: Path) -> Path:
    return home / "ours" / "cosign.key"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory, cosign: Cosign, key: Path) -> Path:
    """The repository: this checkout's files, two backends, and a key that is trusted."""
    root = tmp_path_factory.mktemp("origin") / "equivec"
    checkouts.copy(root, root.parent / "no-cache", {})
    content = yaml.safe_load((root / "matrix.yaml").read_text("utf-8"))
    content["backends"] = {name: content["backends"][name] for name in BACKENDS}
    content["models"] = {MODEL: content["models"][MODEL]}
    content["default"] = {}
    content["trust"] = {"keys": ["cosign.pub"]}
    content["publication"] = "oci:dist/images"
    for backend in content["backends"].values():
        backend.pop("cross_backend", None)
        backend.pop("not_for", None)
    # A compiled wheel has to travel; a second one would take long, emulated.
    content["backends"]["llama-cpp"]["platforms"] = ["linux/amd64"]
    (root / "matrix.yaml").write_text(yaml.safe_dump(content), "utf-8")
    shutil.copy(ROOT / ".gitignore", root)
    password = {**os.environ, "COSIGN_PASSWORD": PASSWORD}
    keys.make(cosign, private=key, public=root / "cosign.pub", checkout=root, environment=password)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "everything")
    return root


def git(root: Path, *words: str) -> None:
    identity = ("-c", "user.name=a test", "-c", "user.email=test@example.com")
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True)


class Machines:
    """Machines that work from a repository: each a clone and a cache, wherever it is."""

    def __init__(self, place: Path, origin: Path, home: Path, key: Path, packages: Path) -> None:
        self.place = place
        self._origin = origin
        self._environment = {**PRIVATE, "HOME": str(home), "DOCKER_CONFIG": str(home / ".docker")}
        self._signing = {"EQUIVEC_SIGNING_KEY": str(key), "COSIGN_PASSWORD": PASSWORD}
        self._packages = packages

    def machine(self, name: str, cache: Path | None = None) -> Checkout:
        """Return another machine."""
        root = self.place / name / f"clone-on-{name}"
        root.parent.mkdir(parents=True)
        subprocess.run(["git", "clone", "--quiet", str(self._origin), str(root)], check=True)
        if cache is None:
            cache = self.place / name / "cache"
            cache.mkdir()
            (cache / "store").symlink_to(cache_directory() / "store")
            # The distribution's packages, which are downloaded otherwise.
            for programs in ("engine/packages", "tools"):
                known = cache_directory() / programs
                if known.exists():
                    (cache / programs).parent.mkdir(exist_ok=True)
                    (cache / programs).symlink_to(known)
            shown = configuration.places(cache).packages
            if not shown.exists():
                shown.parent.mkdir(exist_ok=True)
                shown.symlink_to(self._packages)
        return Checkout(root, cache, self._environment)

    def run(
        self, machine: Checkout, command: str, *words: str, signing: bool = True
    ) -> tuple[int, str]:
        """Run a command to its end; return its status and what it printed."""
        argv = (sys.executable, "-m", "builders", command)
        variables = self._signing if signing else {}
        with machine.running(*words, argv=argv, variables=variables) as run:
            return run.wait(SECONDS), run.output

    def done(self, machine: Checkout, command: str, *words: str, signing: bool = True) -> str:
        """Run a command that has to succeed."""
        status, output = self.run(machine, command, *words, signing=signing)
        assert status == 0, output
        return output


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory, origin: Path, home: Path, key: Path, packages: Path
) -> Iterator[Machines]:
    made = Machines(tmp_path_factory.mktemp("machines"), origin, home, key, packages)
    try:
        yield made
    finally:
        for cache in made.place.glob("*/cache"):
            engine.stop(cache, packages=configuration.places(cache).packages)


@pytest.fixture(scope="module")
def flow(machines: Machines, origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    planner = machines.machine("planner")
    plan = json.loads(machines.done(planner, "plan", "--json"))
    cells = [cell for cell in plan["cells"] if cell["kind"] == "image" and cell["runner"]]

    # One machine builds. It has compiled wheels before: those of the user's own cache.
    builder = machines.machine("builder")
    compiled = cache_directory() / "derived" / BUILT_WHEELS
    compiled.mkdir(parents=True, exist_ok=True)
    (builder.cache / "derived").mkdir()
    (builder.cache / "derived" / BUILT_WHEELS).symlink_to(compiled)
    parcels = tmp_path_factory.mktemp("artefacts") / "parcels"
    images = [word for cell in cells for word in ("--only", cell["id"])]
    machines.done(builder, "build", *images, "--to", str(parcels), signing=False)
    engine.stop(builder.cache, packages=configuration.places(builder.cache).packages)

    # Every cell is proved on a machine of its own, which gets that cell's parcel.
    def prove(cell: Mapping[str, Any]) -> tuple[Path, str]:
        machine = machines.machine(cell["id"])
        given = machine.root.parent / "given"
        shutil.copytree(parcels / cell["id"], given / cell["id"])
        output = machines.done(
            machine, "build-matrix", "--only", cell["id"], "--layouts", str(given)
        )
        engine.stop(machine.cache, packages=configuration.places(machine.cache).packages)
        assert not (machine.cache / "derived" / BUILT_WHEELS).exists()  # nothing was compiled
        assert not (machine.cache / "derived" / "images").exists()  # nor built
        artefact = machine.root.parent / "artefact"
        shutil.copytree(machine.root / "dist", artefact)
        return artefact, output

    with ThreadPoolExecutor(2) as pool:
        proved = dict(zip([cell["id"] for cell in cells], pool.map(prove, cells), strict=True))

    single = machines.machine("single", cache_directory())
    machines.done(single, "build-matrix")
    return Flow(
        origin=origin,
        cells=tuple(proved),
        parcels=parcels,
        machines={name: directory for name, (directory, _) in proved.items()},
        outputs={name: output for name, (_, output) in proved.items()},
        single=single.root / "dist",
    )


def merge(
    machines: Machines, name: str, *directories: Path, signing: bool = True
) -> tuple[Checkout, int, str]:
    """Merge on another machine; return it, the status and what it printed."""
    machine = machines.machine(name)
    status, output = machines.run(machine, "merge", *map(str, directories), signing=signing)
    return machine, status, output


def nothing_is_published(machine: Checkout) -> None:
    assert not (machine.root / "dist").exists()


def test_every_cell_was_proved_on_the_image_that_was_built(flow: Flow) -> None:
    assert sorted(flow.cells) == [
        "llama-cpp-fixture-768-linux-amd64",
        "onnxruntime-fixture-768-linux-amd64",
        ARM64,
    ]
    for cell, artefact in flow.machines.items():
        judged = verdicts.read(artefact / "verdicts" / f"{cell}.json")
        record = json.loads((flow.parcels / cell / "parcel.json").read_bytes())
        assert judged.passed
        assert judged.subject.digest == record["digest"]
        assert judged.inputs.built_wheels == record["wheels"]
        assert bool(record["wheels"]) == (judged.backend == "llama-cpp")
        assert judged.environment.build_platform == record["build_platform"]
        assert judged.environment.builder == record["builder"]
        assert judged.source.clean
        assert "unsigned" not in flow.outputs[cell]


def test_the_merge_is_what_one_machine_comes_to(machines: Machines, flow: Flow) -> None:
    machine, status, output = merge(machines, "merger", *flow.machines.values())
    assert status == 0, output
    dist = machine.root / "dist"

    images = publication.indexes(dist / "images")
    assert len(images) == len(BACKENDS)
    assert images == publication.indexes(flow.single / "images")
    assert blobs(dist) == blobs(flow.single)
    for cell in flow.cells:
        mine = verdicts.read(dist / "verdicts" / f"{cell}.json")
        theirs = verdicts.read(flow.single / "verdicts" / f"{cell}.json")
        assert (mine.subject, mine.inputs) == (theirs.subject, theirs.inputs)
        assert mine.source == theirs.source
        # As they were signed where they were tested: byte by byte.
        place = f"attestations/{mine.subject.digest.replace(':', '-')}"
        for signed in (flow.machines[cell] / place).iterdir():
            assert signed.name.endswith(".dsse.json")
            assert (dist / place / signed.name).read_bytes() == signed.read_bytes()
    for digest in images.values():
        (stated,) = attestation_files.read(dist / "attestations", digest)
        assert stated.form == "dsse"

    # No engine was needed, and again it is the same.
    assert not (machine.cache / "engine" / "docker-root").exists()
    before = publication.indexes(dist / "images")
    again, output = machines.run(machine, "merge", *map(str, flow.machines.values()))
    assert again == 0, output
    assert publication.indexes(dist / "images") == before


def blobs(dist: Path) -> set[str]:
    return {path.name for path in (dist / "images" / "blobs" / "sha256").iterdir()}


def test_what_was_merged_could_be_released_but_for_its_model(
    machines: Machines, flow: Flow
) -> None:
    machine, status, output = merge(machines, "releaser", *flow.machines.values())
    assert status == 0, output
    status, output = machines.run(machine, "release", "v1.2.3", "--dry-run")
    assert status == ReleaseError.exit_code, output
    assert "is a fixture" in output
    for other in ("no test result", "revision", "not signed", "is missing", "judged by other"):
        assert other not in output


def test_an_absent_platform_stops_the_merge(machines: Machines, flow: Flow) -> None:
    others = [path for cell, path in flow.machines.items() if cell != ARM64]
    machine, status, output = merge(machines, "incomplete", *others)
    assert status == MergeError.exit_code, output
    assert f"{ARM64}: no machine brought it" in output
    nothing_is_published(machine)


def edited(envelope: bytes) -> bytes:
    """Change one byte of what is inside an envelope: a figure of a check."""
    document = json.loads(envelope)
    payload = bytearray(base64.b64decode(document["payload"]))
    figure = re.search(rb'"figure":(\d)', payload)
    assert figure is not None
    payload[figure.start(1)] = ord("8") if figure[1] == b"9" else ord("9")
    return json.dumps({**document, "payload": base64.b64encode(payload).decode()}).encode()


Sign = Callable[[Statement, bytes], bytes]
Spoil = Callable[[Callable[[Attestation, bytes], bytes]], list[Path]]


def signing(machines: Machines, checkout: Path, key: Path) -> Sign:
    """Return what signs with a key."""
    project = Project(
        root=checkout,
        matrix=load(checkout / "matrix.yaml"),
        store=Store(machines.place / "planner" / "cache"),
    )
    named = {"EQUIVEC_SIGNING_KEY": str(key), "COSIGN_PASSWORD": PASSWORD}
    signer = Signer.of(project, {**os.environ, **named}, note=print)

    def sign(statement: Statement, manifest: bytes) -> bytes:
        envelope = signer.sign(statement, manifest).envelope
        assert envelope is not None
        return envelope

    return sign


@pytest.fixture
def ours(machines: Machines, flow: Flow, key: Path) -> Sign:
    """Whom matrix.yaml trusts."""
    return signing(machines, flow.origin, key)


@pytest.fixture
def stranger(machines: Machines, flow: Flow, cosign: Cosign, tmp_path: Path) -> Sign:
    """Somebody with a key of their own."""
    private = tmp_path / "stranger" / "cosign.key"
    keys.make(
        cosign,
        private=private,
        public=tmp_path / "cosign.pub",
        checkout=flow.origin,
        environment={**os.environ, "COSIGN_PASSWORD": PASSWORD},
    )
    return signing(machines, flow.origin, private)


@pytest.fixture
def spoilt(flow: Flow, tmp_path: Path) -> Spoil:
    """Return the machines' results, with one's verdict replaced by what a function returns."""

    def spoil(change: Callable[[Attestation, bytes], bytes]) -> list[Path]:
        copied = tmp_path / "spoilt"
        shutil.copytree(flow.machines[ARM64], copied)
        judged = verdicts.read(copied / "verdicts" / f"{ARM64}.json")
        digest = judged.subject.digest
        manifest = copied / "images" / "blobs" / "sha256" / digest.removeprefix("sha256:")
        (stated,) = (
            each
            for each in attestation_files.read(copied / "attestations", digest)
            if each.statement.kind is Kind.TEST_RESULT
        )
        place = attestation_files.place(copied / "attestations", digest)
        changed = change(stated, manifest.read_bytes())
        (place / "test-result.dsse.json").write_bytes(changed)
        return [copied if cell == ARM64 else path for cell, path in flow.machines.items()]

    return spoil


def test_a_verdict_that_was_edited_is_refused(machines: Machines, spoilt: Spoil) -> None:
    def edit(stated: Attestation, _: bytes) -> bytes:
        assert stated.envelope is not None
        return edited(stated.envelope)

    machine, status, output = merge(machines, "edited", *spoilt(edit))
    assert status == SigningError.exit_code, output
    assert f"{ARM64} from" in output
    assert "was changed, or is signed by nobody whom `trust` in matrix.yaml names" in output
    nothing_is_published(machine)


def test_a_verdict_by_another_key_is_refused(
    machines: Machines, spoilt: Spoil, stranger: Sign
) -> None:
    machine, status, output = merge(
        machines,
        "another-key",
        *spoilt(lambda stated, manifest: stranger(stated.statement, manifest)),
    )
    assert status == SigningError.exit_code, output
    assert "is signed by nobody whom `trust` in matrix.yaml names" in output
    nothing_is_published(machine)


def test_a_replayed_verdict_of_an_older_suite_is_refused(
    machines: Machines, flow: Flow, spoilt: Spoil, ours: Sign
) -> None:
    """It is on the same image, passed, and signed by the key that is trusted."""
    told = verdicts.read(flow.machines[ARM64] / "verdicts" / f"{ARM64}.json")
    suite = told.inputs.suite.removeprefix("sha256:")
    older = hashlib.sha256(b"older tests").hexdigest()

    def replayed(stated: Attestation, manifest: bytes) -> bytes:
        text = statements.to_json(stated.statement).decode()
        return ours(statements.from_json(text.replace(suite, older).encode()), manifest)

    machine, status, output = merge(machines, "replayed", *spoilt(replayed))
    assert status == MergeError.exit_code, output
    assert f"{ARM64} from" in output
    assert f"judged by other tests: suite sha256:{older}" in output
    nothing_is_published(machine)


def test_an_unsigned_verdict_is_refused(machines: Machines, flow: Flow, tmp_path: Path) -> None:
    copied = tmp_path / "unsigned"
    shutil.copytree(flow.machines[ARM64], copied)
    for path in (copied / "attestations").rglob("*.dsse.json"):
        stated = statements.attestation(path.read_bytes(), "dsse").statement
        path.with_name(path.name.replace(".dsse.", ".statement.")).write_bytes(
            statements.to_json(stated)
        )
        path.unlink()
    others = [copied if cell == ARM64 else path for cell, path in flow.machines.items()]
    machine, status, output = merge(machines, "unsigned", *others)
    assert status == SigningError.exit_code, output
    assert "is not signed" in output
    nothing_is_published(machine)


def test_an_image_that_another_checkout_built_is_not_proved(machines: Machines, flow: Flow) -> None:
    machine = machines.machine("changed")
    service = machine.root / "images" / "service" / "embedding_service" / "__init__.py"
    service.write_text(service.read_text("utf-8") + "\n# Changed.\n", "utf-8")
    cell = "onnxruntime-fixture-768-linux-amd64"
    status, output = machines.run(
        machine, "build-matrix", "--only", cell, "--layouts", str(flow.parcels)
    )
    assert status == CellsFailedError.exit_code, output
    name = "images/service/embedding_service/__init__.py"
    assert f"was built from another checkout: {name} differ" in output
