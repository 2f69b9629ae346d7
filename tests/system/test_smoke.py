"""Smoke sessions with the real engine: every gate fails on a container that deserves it.

The containers hold the images' root file system, a small wheel, and a service that misbehaves.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.types import Mount

from builders import inputs, project, smoke
from builders.check import Check
from builders.corpus import Corpus, Text
from builders.engine import Engine, containers
from builders.engine import images as engine_images
from builders.engine.connection import connect
from builders.engine.containers import RUN_LABEL
from builders.engine.run_mark import mark
from builders.errors import SmokeError
from builders.formats import layout
from builders.inputs import Needs
from builders.matrix import Input
from builders.paths import ROOT
from builders.rootfs import kept
from builders.smoke import Proof
from builders.smoke import cell as smoke_cell
from builders.smoke import suite as smoke_suite
from builders.smoke.cell import SmokeCell, SmokeWheel
from builders.smoke.subject import Patience, Subject
from builders.smoke.suite import Records
from tests.unit.images import Image

pytestmark = pytest.mark.engine

SERVICE = Path(__file__).resolve().parents[2] / "images" / "service" / "embedding_service"
SPACE = f"sha256:{'a' * 64}"
SITE = "usr/local/lib/python3.11/dist-packages"
HEALTH = {
    "status": "healthy",
    "backend": "stub",
    "model": "fixture-4",
    "dimension": 4,
    "inputs": ["text"],
    "vector_space": SPACE,
    "precision": "float32",
    "libraries": {"stub": "1"},
    "architecture": "any",
}
GOOD = {"health": HEALTH, "embedding": [0.5, 0.5, 0.5, -0.5]}

# The real client, and the batch command as one that asks the service too: there is no numpy here.
BATCHES = """
import sys
from embedding_service import client
corpus = sys.argv[sys.argv.index("--corpus") + 1]
sys.exit(client.main(["embed", "--corpus", corpus]))
"""

FILES = {
    "srv/service.py": (Path(__file__).parent / "misbehaving_service.py").read_text("utf-8"),
    **{
        f"opt/equivec/service/embedding_service/{path.relative_to(SERVICE)}": path.read_text(
            "utf-8"
        )
        for path in SERVICE.rglob("*.py")
    },
    "opt/equivec/service/embedding_service/vectors.py": BATCHES,
    f"{SITE}/small/__init__.py": "print('printed while imported')",
    f"{SITE}/small-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
    f"{SITE}/broken.py": "import nothing_of_that_name",
    f"{SITE}/crash.py": "import os; os.abort()",
    f"{SITE}/small.libs/libnone.so": "not a library",
}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What makes images and proves them."""

    engine: Engine
    client: DockerClient
    run: str
    scratch: Path
    root: bytes
    shell: Path

    def image(self, entrypoint: Sequence[str], *, user: str = "65532:65532") -> str:
        """An image in the engine; returns its digest."""
        number = len(list(self.scratch.iterdir()))
        written = Image(
            layers=[self.root, packed(FILES)],
            config={"architecture": self.engine.native.partition("/")[2]},
            run={
                "Entrypoint": list(entrypoint),
                "User": user,
                "Env": [
                    "PATH=/usr/bin:/bin",
                    "PYTHONPATH=/opt/equivec/service",
                    # Images hold their byte code; this one does not, and may be written to.
                    "PYTHONDONTWRITEBYTECODE=1",
                ],
            },
        ).write(self.scratch / str(number))
        return engine_images.load(self.client, layout.read(written))

    def service(self, **plan: Any) -> str:
        """An image whose service does what the plan says."""
        return self.image(["/usr/bin/python3", "/srv/service.py", json.dumps({**GOOD, **plan})])

    def cell(self) -> SmokeCell:
        machine = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[self.engine.native]
        return SmokeCell(
            id="stub-fixture-4",
            platform=self.engine.native,
            emulated=False,
            backend="stub",
            model="fixture-4",
            dimension=4,
            normalize=True,
            vector_space=SPACE,
            precision="float32",
            wheels=(SmokeWheel(name="small", version="1.0", modules=("small",)),),
            libraries=(f"/usr/lib/{machine}-linux-gnu/libz.so.1",),
            seconds=30,
        )

    def prove(
        self,
        digest: str,
        records: Path,
        cell: SmokeCell | None = None,
        upstream: str | None = None,
        ready: int = 60,
    ) -> Proof:
        subject = Subject(
            digest=digest,
            cell=cell or self.cell(),
            corpus=Corpus(
                texts=tuple(Text(id=name, text=name, emulated=True) for name in ("one", "two"))
            ),
            shell=self.shell,
            records=records,
            patience=Patience(ready=ready, suite=60, vectors=5, stop=2, batch_size=2),
            upstream=upstream,
        )
        return smoke.prove(
            self.client,
            subject,
            run_id=self.run,
            environment=self.engine.environment,
            note=lambda _: None,
        )

    def remaining(self) -> list[str]:
        """What this run has left in the engine."""
        found = self.client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={self.run}"})
        return [str(container.id) for container in found]


def packed(files: dict[str, str]) -> bytes:
    """A layer of files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        for path, text in files.items():
            header = tarfile.TarInfo(path)
            header.size = len(text.encode())
            header.mode = 0o644
            writer.addfile(header, io.BytesIO(text.encode()))
    return archive.getvalue()


@pytest.fixture(scope="module")
def bench(
    private: Engine, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    checkout = project.load()
    native = private.native
    needs = Needs(roots=(native,), wheels=(), build_platform=native)
    debian = inputs.fetch(checkout, needs, progress=lambda *_: None).base[native]
    root = layout.read(kept.root(checkout, debian).directory)
    with connect(private.environment) as client, mark(cache) as run:
        yield Bench(
            engine=private,
            client=client,
            run=run.id,
            scratch=tmp_path_factory.mktemp("layouts"),
            root=layout.blob_path(root.directory, root.layers[0].digest).read_bytes(),
            shell=inputs.shell(checkout, debian),
        )


def defined() -> Iterator[str]:
    """Yield the names of the checks that tests/smoke defines, but for that of each wheel."""
    for path in (ROOT / "tests" / "smoke").glob("test_*.py"):
        for name in re.findall(r"^def test_(\w+)", path.read_text("utf-8"), re.MULTILINE):
            if name != "wheel":
                yield name.replace("_", "-")


ALL = {*defined(), "stops-on-sigterm"}


def failed(checks: Sequence[Check]) -> set[str]:
    return {check.name.removeprefix("smoke:") for check in checks if not check.passed}


def details(checks: Sequence[Check], name: str) -> str:
    (found,) = [check for check in checks if check.name == f"smoke:{name}"]
    return " ".join(found.details)


def test_good_container(bench: Bench, tmp_path: Path) -> None:
    proof = bench.prove(bench.service(), tmp_path)
    assert failed(proof.checks) == set()
    assert {check.name.removeprefix("smoke:") for check in proof.checks} >= ALL
    assert proof.alone.ids == proof.batched.ids == ("one", "two")
    assert proof.alone.matrix.tolist() == [GOOD["embedding"]] * 2
    assert list(proof.seconds) == ["ready", "tests", "vectors", "stop"]
    assert all("native" in " ".join(check.details) for check in proof.checks)
    assert "the service has started" in Records(directory=tmp_path).log.read_text()
    assert bench.remaining() == []


def test_emulation_is_marked_in_every_output(bench: Bench, tmp_path: Path) -> None:
    """What is said is what the plan says: nothing is emulated here."""
    cell = bench.cell().model_copy(update={"emulated": True})
    proof = bench.prove(bench.service(), tmp_path, cell)
    assert all("emulated" in " ".join(check.details) for check in proof.checks)
    output = Records(directory=tmp_path).output.read_text()
    assert "EMULATED" in output
    assert output.count("[emulated") == output.count(" PASSED ")


def test_container_that_exits_at_once(bench: Bench, tmp_path: Path) -> None:
    program = "import sys; sys.exit('there is no model here')"
    digest = bench.image(["/usr/bin/python3", "-c", program])
    with pytest.raises(SmokeError, match=r"ended with exit status 1 \(native\)") as caught:
        bench.prove(digest, tmp_path)
    assert "  | there is no model here" in str(caught.value)
    assert Records(directory=tmp_path).log.read_text() == "there is no model here\n"
    assert bench.remaining() == []


def test_container_that_never_becomes_ready(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match=r"did not become ready: .*not ready after 5 s") as caught:
        bench.prove(bench.service(loading=True), tmp_path, ready=5)
    assert "  | the service has started" in str(caught.value)
    assert bench.remaining() == []


def test_container_that_hangs(bench: Bench, tmp_path: Path) -> None:
    """It takes the connection and says nothing: as after a crash under emulation."""
    cell = bench.cell().model_copy(update={"seconds": 5})
    with pytest.raises(SmokeError, match="no end after 10 s") as caught:
        bench.prove(bench.service(silent=True), tmp_path, cell, ready=5)
    assert "  | the service has started" in str(caught.value)
    assert bench.remaining() == []


def test_service_that_dies_of_its_first_text(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match="ended with exit status 132") as caught:
        bench.prove(bench.service(embed="die"), tmp_path)
    assert "  | illegal instruction, says the service" in str(caught.value)
    assert bench.remaining() == []


def test_service_that_hangs_at_its_first_text(bench: Bench, tmp_path: Path) -> None:
    cell = bench.cell().model_copy(update={"seconds": 2})
    with pytest.raises(SmokeError, match=r"no end after 5 s: .*client embed"):
        bench.prove(bench.service(embed="hang"), tmp_path, cell)
    results = Records(directory=tmp_path).results.read_text()
    assert "no end after 2 s" in results
    assert bench.remaining() == []


def test_service_that_ignores_sigterm(bench: Bench, tmp_path: Path) -> None:
    proof = bench.prove(bench.service(deaf=True), tmp_path)
    assert failed(proof.checks) == {"stops-on-sigterm"}
    assert proof.checks[-1].figure == 137


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ([0.6, 0.6, 0.6, 0.6], "the vector's length is 1.2"),
        ([1.0, 0.0, 0.0], "3 == 4"),
        ([float("nan"), 0.0, 0.0, 1.0], "nan"),
    ],
)
def test_wrong_vectors(bench: Bench, tmp_path: Path, vector: list[float], words: str) -> None:
    checks = judged(bench, bench.service(embedding=vector), tmp_path)
    assert failed(checks) == {"embedding"}
    assert words in details(checks, "embedding")


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"openai": [0.0, 1.0, 0.0, 0.0]}, {"openai-interface": "approx"}),
        ({"generate": [0.0, 1.0, 0.0, 0.0]}, {"generate-interface": "approx"}),
        ({"config": "another"}, {"generate-interface": "'another'"}),
        (
            {"space": "sha256:" + "0" * 64},
            {"openai-interface": "sha256:0000", "generate-interface": "sha256:0000"},
        ),
        ({"admin": True}, {"no-administration-without-a-token": "200"}),
    ],
)
def test_wrong_answers_of_other_interfaces(
    bench: Bench, tmp_path: Path, plan: dict[str, Any], found: dict[str, str]
) -> None:
    checks = judged(bench, bench.service(**plan), tmp_path)
    assert failed(checks) == set(found)
    assert all(words in details(checks, name) for name, words in found.items())


SEEING = {**HEALTH, "inputs": ["text", "image"]}


def test_a_service_with_images(bench: Bench, tmp_path: Path) -> None:
    cell = bench.cell().model_copy(update={"inputs": ("text", "image")})
    assert (
        failed(judged(bench, bench.service(health=SEEING, images="PNG"), tmp_path, cell)) == set()
    )


@pytest.mark.parametrize(
    ("takes", "service", "found"),
    [
        # Embeds images that its model does not take, and even what is none.
        (("text",), {"images": "any"}, {"image", "what-is-no-image"}),
        (("text", "image"), {"health": SEEING, "images": "any"}, {"what-is-no-image"}),
        (("text", "image"), {"health": SEEING}, {"image", "what-is-no-image"}),
    ],
)
def test_wrong_images(
    bench: Bench,
    tmp_path: Path,
    takes: tuple[Input, ...],
    service: dict[str, Any],
    found: set[str],
) -> None:
    cell = bench.cell().model_copy(update={"inputs": takes})
    assert failed(judged(bench, bench.service(**service), tmp_path, cell)) == found


def test_texts_that_are_to_be_refused(bench: Bench, tmp_path: Path) -> None:
    cell = bench.cell().model_copy(update={"refused": {"hard": "a [CLS] b"}})
    checks = judged(bench, bench.service(), tmp_path, cell)
    assert failed(checks) == {"refused-texts"}
    assert "embedded, or failed otherwise: hard" in details(checks, "refused-texts")


def test_a_service_that_asks_an_api(bench: Bench, tmp_path: Path) -> None:
    asking = bench.service(asks=True)
    proof = bench.prove(asking, tmp_path, upstream=bench.service())
    assert failed(proof.checks) == set()
    assert "the service has started" in Records(directory=tmp_path).upstream_log.read_text()
    assert bench.remaining() == []


def test_a_service_whose_api_is_missing(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match="did not become ready"):
        bench.prove(bench.service(asks=True), tmp_path, ready=5)
    assert bench.remaining() == []


@pytest.mark.parametrize(
    ("plan", "said"),
    [({"loading": True}, "not ready after 5 s"), (None, "it has ended")],
)
def test_an_api_that_never_answers(
    bench: Bench, tmp_path: Path, plan: dict[str, Any] | None, said: str
) -> None:
    gone = ["/usr/bin/python3", "-c", "import sys; sys.exit('no model')"]
    upstream = bench.image(gone) if plan is None else bench.service(**plan)
    message = f"the container that is to answer as the API did not become ready: .*{said}"
    with pytest.raises(SmokeError, match=message) as caught:
        bench.prove(bench.service(asks=True), tmp_path, upstream=upstream, ready=5)
    assert str(Records(directory=tmp_path).upstream_log) in str(caught.value)
    assert bench.remaining() == []


def test_wrong_health(bench: Bench, tmp_path: Path) -> None:
    checks = judged(bench, bench.service(health={**HEALTH, "backend": "another"}), tmp_path)
    assert failed(checks) == {"health"}
    assert "another" in details(checks, "health")


def test_a_component_without_a_licence(bench: Bench, tmp_path: Path) -> None:
    stranger: dict[str, Any] = {"name": "stranger", "kind": "debian", "licences": [], "texts": []}
    checks = judged(bench, bench.service(components=[stranger]), tmp_path)
    assert failed(checks) == {"credits"}
    assert "named without a licence: stranger" in details(checks, "credits")


def test_credits_of_other_wheels(bench: Bench, tmp_path: Path) -> None:
    other = {"name": "other", "version": "2.0", "kind": "python", "licences": ["MIT"], "texts": []}
    checks = judged(bench, bench.service(components=[other]), tmp_path)
    assert failed(checks) == {"credits"}
    assert "other" in details(checks, "credits")


def test_wrong_installation(bench: Bench, tmp_path: Path) -> None:
    cell = bench.cell().model_copy(
        update={
            "platform": {"linux/amd64": "linux/arm64", "linux/arm64": "linux/amd64"}[
                bench.engine.native
            ],
            "wheels": (
                SmokeWheel(
                    name="small",
                    version="1.1",
                    modules=("small",),
                    libraries=("small.libs/libnone.so", "small.libs/libllama.so"),
                ),
                SmokeWheel(name="absent", version="1.0", modules=("broken",)),
            ),
            "libraries": (f"/{SITE}/small.libs/libnone.so", "/usr/lib/absent.so"),
        }
    )
    checks = judged(bench, bench.service(), tmp_path, cell)
    assert failed(checks) == {
        *("credits", "machine", "wheel", "promised-libraries", "shared-libraries-load"),
    }
    promised = details(checks, "promised-libraries")
    assert "small.libs/libnone.so: 0" in promised
    assert "small.libs/libllama.so: None" in promised
    (wheel,) = [check for check in checks if check.name == "smoke:wheel"]
    assert (wheel.figure, wheel.limit) == (0, 2)
    assert "small is of version 1.0, locked 1.1" in details(checks, "wheel")
    assert "absent is not installed" in details(checks, "wheel")
    assert "broken: ModuleNotFoundError: No module named 'nothing_of" in details(checks, "wheel")
    libraries = details(checks, "shared-libraries-load")
    assert "libnone.so: file too short" in libraries
    assert "absent.so: cannot open shared object file" in libraries


def test_module_that_crashes_the_interpreter_is_named(bench: Bench, tmp_path: Path) -> None:
    wheels = (SmokeWheel(name="small", version="1.0", modules=("small", "crash")),)
    cell = bench.cell().model_copy(update={"wheels": wheels})
    checks = judged(bench, bench.service(), tmp_path, cell)
    assert failed(checks) == {
        *("machine", "wheel", "promised-libraries", "shared-libraries-load"),
    }
    assert "importing small" in details(checks, "wheel")


def test_container_without_confinement(bench: Bench, tmp_path: Path) -> None:
    """As root, with capabilities, the host's network, and a file system that it has written to."""
    program = '/usr/bin/python3 /srv/service.py "$0" & echo > /left-behind; wait'
    digest = bench.image(["/usr/bin/sh", "-c", program, json.dumps(GOOD)], user="0:0")
    container = bench.client.containers.run(
        digest,
        detach=True,
        network_mode="host",
        init=True,
        labels={RUN_LABEL: bench.run},
        mounts=[
            Mount(target=smoke_cell.SHELL, source=str(bench.shell), type="bind", read_only=True)
        ],
    )
    try:
        checks = suite(bench, str(container.id), tmp_path, bench.cell())
        at_the_end = smoke._nothing_on_disk_changed(containers.Container(container), "native")
    finally:
        container.remove(force=True)
    assert not at_the_end.passed
    assert "/left-behind" in at_the_end.details
    assert failed(checks) >= {
        "no-process-is-root",
        "no-process-has-capabilities",
        "root-file-system-is-read-only",
        "nothing-on-disk-changed",
        "no-network",
    }
    assert "/left-behind" in details(checks, "nothing-on-disk-changed")


def test_suite_that_cannot_run(bench: Bench, tmp_path: Path) -> None:
    """Facts that cannot be read are no failed test, and must not look like a passed one."""
    Records(directory=tmp_path).facts.write_text("{}")
    with pytest.raises(SmokeError, match="the smoke tests ended with exit status"):
        smoke_suite.judge(
            "none",
            Records(directory=tmp_path),
            execution="native",
            environment=bench.engine.environment,
            timeout=60,
        )


def test_suite_that_takes_too_long(bench: Bench, tmp_path: Path) -> None:
    Records(directory=tmp_path).facts.write_text(bench.cell().model_dump_json())
    with pytest.raises(SmokeError, match=r"given up: no end after .*last that ended was none"):
        smoke_suite.judge(
            "none",
            Records(directory=tmp_path),
            execution="native",
            environment=bench.engine.environment,
            timeout=0.2,
        )


def judged(
    bench: Bench, digest: str, records: Path, cell: SmokeCell | None = None
) -> tuple[Check, ...]:
    """The suite's opinion of a container; its vectors are not asked for."""
    with containers.start(
        bench.client,
        digest,
        platform=bench.engine.native,
        run=bench.run,
        mounts=[containers.ReadOnlyMount(source=bench.shell, target=smoke_cell.SHELL)],
    ) as container:
        wait = ("/usr/bin/python3", "-m", "embedding_service.client", "wait", "--timeout", "10")
        assert container.execute(wait, timeout=20).returncode == 0
        return suite(bench, container.id, records, cell or bench.cell())


def suite(bench: Bench, container: str, records: Path, cell: SmokeCell) -> tuple[Check, ...]:
    Records(directory=records).facts.write_text(cell.model_dump_json())
    return smoke_suite.judge(
        container,
        Records(directory=records),
        execution=cell.execution,
        environment=bench.engine.environment,
        timeout=60,
    )
