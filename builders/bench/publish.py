"""How long publication in a registry takes, beside a copy of the same bytes by oras alone."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient

from builders import publication, stages, target, tools
from builders.attestation import files
from builders.attestation import statement as statements
from builders.attestation.statement import Kind, Statement
from builders.bench.bench import Bench, median
from builders.bench.record import Figure
from builders.engine import connection
from builders.engine import images as engine_images
from builders.errors import BenchError
from builders.formats import layout
from builders.process import background, run
from builders.publication import PassedImage
from builders.registry import arguments, attached
from builders.registry import client as registries
from builders.registry.attached import Attested
from builders.registry.client import Registry, digest_of
from builders.registry.publish import Publisher, platforms
from builders.registry.reference import repository
from builders.registry.seal import Seal
from builders.signing.cosign import cosign
from builders.signing.signer import Signer
from builders.signing.trust import Trust
from builders.target import OciTarget, RegistryTarget

WANTED = 100e6
"""The image is the published one whose compressed size is nearest to this, in bytes."""

ROUNDS = 5
_HELD = "equivec/measured:publication"
_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is published: one image, alone in a publication of its own.

    Attributes:
        source: That publication.
        whole: A layout of all of it: image, index, and what is attested of both.
        name: Of the image.
        size: Bytes that a registry keeps of it.
    """

    source: OciTarget
    whole: Path
    name: str
    size: int


def publish(bench: Bench) -> tuple[Figure, ...]:
    """Copy an image with oras, publish it elsewhere, and once more, each time to empty registries.

    Raises:
        BenchError: Nothing is published that could be taken.
    """
    subject = _subject(bench)
    engine = stages.find_engine(bench.project, bench.reporter)
    cache = bench.project.store.cache
    with (
        bench.reporter.step("publish") as step,
        connection.connect(engine.environment) as client,
    ):
        registry = registries.registry(cache, note=step.note)
        tool = tools.find("cosign", cache, note=step.note)
        # By a name of its own: another run may take away the one that it is loaded under.
        digest = engine_images.load(client, layout.read(bench.scratch / "image"))
        engine_images.tag(client, digest, _HELD)
        seconds = []
        for number in range(ROUNDS):
            with _empty(bench, f"{number}-copied") as host:
                copied = _copied(subject, registry, host)
            with _empty(bench, f"{number}-published") as host:
                first, again = _published(subject, registry, host, client, tool)
            seconds.append((copied, first, again))
            step.note(f"oras cp {copied:.2f} s, published {first:.2f} s, again {again:.2f} s")
        engine_images.remove(client, [_HELD])
    about = f"{subject.name}, {subject.size / 1e6:.0f} MB"
    return (
        median("oras", [one[0] for one in seconds], subject=about),
        median("published", [one[1] for one in seconds], subject=about),
        median("ratio", [one[1] / one[0] for one in seconds], subject=about),
        median("again", [one[2] for one in seconds], subject=about),
    )


def _subject(bench: Bench) -> Subject:
    """Return the image nearest to the wanted size, with what is attested of it."""
    whole = target.directory(bench.project)
    sizes = {
        (name, digest): _size(whole.manifest(name, digest))
        for name in whole.indexes()
        for digest in platforms(whole.index(name))
        if whole.attestations(name, digest)
    }
    if not sizes:
        raise BenchError("nothing is published", remedy="`nox -s build-matrix` first")
    name, digest = min(sizes, key=lambda each: abs(sizes[each] - WANTED))
    publication.copy(whole.directory, digest, bench.scratch / "image")
    platform = platforms(whole.index(name))[digest]
    image = PassedImage(name=name, platform=platform, layout=bench.scratch / "image", digest=digest)
    source = OciTarget(
        where="oci:images",
        directory=bench.scratch / "images",
        attested=bench.scratch / "attestations",
    )
    index = publication.publish(source.directory, [image], [])[name]
    result = Statement(
        kind=Kind.TEST_RESULT, subject_name=name, digest=index, predicate={"result": "PASSED"}
    )
    stated = statements.attestation(statements.to_json(result), "statement")
    for attestation in (*whole.attestations(name, digest), stated):
        files.write(source.attested, attestation)
    copied = bench.scratch / "whole"
    parts = [
        Attested(document=source.manifest(name, each), attestations=source.attestations(name, each))
        for each in (digest, index)
    ]
    attached.write(copied, parts, source.directory)
    return Subject(source=source, whole=copied, name=name, size=sizes[name, digest])


def _size(manifest: bytes) -> int:
    document = json.loads(manifest)
    parts = (document["config"], *document["layers"])
    return len(manifest) + sum(int(part["size"]) for part in parts)


def _copied(subject: Subject, registry: Registry, host: str) -> float:
    """Copy all that is published with oras alone; return how many seconds that took."""
    there = repository(f"{host}/{subject.name}")
    index = digest_of(subject.source.index(subject.name))
    words = arguments.copy_with_referrers(subject.whole, index, there, plain=True)
    return _timed(lambda: run((registry.oras, *words), timeout=_SECONDS))


def _published(
    subject: Subject,
    registry: Registry,
    host: str,
    client: DockerClient,
    tool: Path,
) -> tuple[float, float]:
    """Publish the image as `nox -s build-matrix` does, twice; return the seconds of each."""
    there = RegistryTarget(
        where=f"docker://{host}", root=host, names=(subject.name,), registry=registry
    )
    signer = Signer(hand=None, reason="not measured here", _environment={})
    seal = Seal(signer=signer, trust=Trust(), cosign=lambda: cosign(tool))
    publisher = Publisher(source=subject.source, engine=client, seal=seal, note=_silent)
    first = _timed(lambda: publisher.publish(there, [subject.name]))
    return first, _timed(lambda: publisher.publish(there, [subject.name]))


@contextmanager
def _empty(bench: Bench, name: str) -> Iterator[str]:
    """Run a registry that has nothing yet, on loopback; give its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{listening.getsockname()[1]}"
    directory = bench.scratch / name
    directory.mkdir()
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}},
        "http": {"addr": host, "secret": "of the benchmark"},
    }
    (directory / "config.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    program = tools.find("docker-registry", bench.project.store.cache, note=_silent)
    argv = (program, "serve", directory / "config.yml")
    with background(argv, output=directory / "log") as process:
        until = time.monotonic() + _SECONDS
        while not _listens(host):
            if process.poll() is not None or time.monotonic() > until:
                raise BenchError("the registry does not start", where=str(directory / "log"))
            time.sleep(0.05)
        yield host


def _listens(host: str) -> bool:
    name, _, port = host.rpartition(":")
    with socket.socket() as knocking:
        return knocking.connect_ex((name, int(port))) == 0


def _silent(_line: str) -> None:
    """Say nothing."""


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
