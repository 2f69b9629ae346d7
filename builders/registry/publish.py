"""Publication in a registry: the very images that were tested, and the tag of what passed last.

A registry is filled from the publication in a directory, whose bytes it gets: each manifest and
index has the same digest in both. What is there already stays, so that a publication that failed,
or was killed, is finished by doing it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from docker import DockerClient

from builders import target, tools
from builders.attestation.statement import Kind
from builders.engine import images as engine_images
from builders.engine.pushing import push
from builders.errors import SigningError
from builders.formats import oci
from builders.listing import TESTED
from builders.project import Project
from builders.registry import attached
from builders.registry.attached import Attested
from builders.registry.client import digest_of
from builders.registry.faults import Fault, RegistryFault, patiently
from builders.registry.seal import Seal
from builders.signing.cosign import cosign
from builders.signing.signer import Signer
from builders.signing.trust import Trust
from builders.target import OciTarget, RegistryTarget


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """What it takes to publish.

    Attributes:
        source: The publication in a directory.
        engine: Pushes what it holds; None: everything comes from the directory alone.
        seal: Signs what is there.
        note: Told what is done.
    """

    source: OciTarget
    engine: DockerClient | None
    seal: Seal
    note: Callable[[str], None]

    def publish(self, destination: RegistryTarget, names: Iterable[str]) -> None:
        """Bring images to a registry; no tag moves before every part of all of them is there.

        Args:
            destination: The registry.
            names: Of images that the directory has.

        Raises:
            RegistryError: The registry refuses, or holds something else than what was tested.
            PublicationError: The directory does not have them.
            SigningError: Nothing is attested of one, or it is not signed where matrix.yaml names
                who must have signed it.
            EngineError: The engine failed.
        """
        parts = {name: self._parts(name) for name in names}
        for name, everything in parts.items():
            for each in everything:
                self._refuse_unsaid(name, each)
        unsettled = {
            name: everything
            for name, everything in parts.items()
            if not _settled(destination, name, everything)
        }
        for name, everything in unsettled.items():
            self._bring(destination, name, everything)
        for name, everything in parts.items():
            repository, registry = destination.repository(name), destination.registry
            for each in everything:
                self.seal.envelopes(registry, repository, each.digest, each.attestations)
                self.seal.signature(registry, repository.at(each.digest))
        for name, (*_, index) in unsettled.items():
            destination.put_tag(name, TESTED, index.digest)
            self.note(f"{destination.reference(name)}:{TESTED} is {index.digest}")

    def _parts(self, name: str) -> tuple[Attested, ...]:
        """Return the manifests of an image's index, then the index, with what is attested."""
        index = self.source.index(name)
        return tuple(
            Attested(
                document=self.source.manifest(name, digest),
                attestations=self.source.attestations(name, digest),
            )
            for digest in (*platforms(index), digest_of(index))
        )

    def _refuse_unsaid(self, name: str, part: Attested) -> None:
        """Let nothing out of which nobody says that it passed."""
        said = [each for each in part.attestations if each.statement.kind is Kind.TEST_RESULT]
        problem = ""
        if not said:
            problem = "no test result says that it passed"
        elif said[0].envelope is None and self.seal.trust.required:
            reason = self.seal.signer.reason or "it was built where nothing signed"
            problem = f"its test result is not signed: {reason}"
        if problem:
            raise SigningError(
                problem,
                where=f"{name}@{part.digest}",
                remedy="build every platform's cell of it where it can be signed, then publish",
            )

    def _bring(
        self, destination: RegistryTarget, name: str, everything: Sequence[Attested]
    ) -> None:
        """Bring an index, its images, and what is attested of them.

        An engine's content passes through two daemons, which takes twice as long as it takes to
        send it. So blobs go from the directory. Then the engine pushes the image that it ran: it
        finds each blob there by its digest, and puts its own manifest.
        """
        *manifests, index = everything
        repository, registry = destination.repository(name), destination.registry
        self.note(f"copying {repository.at(index.digest)}")
        attached.put(registry, repository, index, manifests, self.source.directory)
        for digest, platform in platforms(index.document).items():
            reference = repository.tagged(tag_of(platform, digest))
            engine = self.engine
            if engine is not None and engine_images.has(engine, digest):
                self.note(f"pushing {reference}")
                patiently(partial(push, engine, digest, reference), registry.patience, self.note)
            elif registry.resolve(reference) != digest:
                registry.tag(repository, digest, tag_of(platform, digest))


def publish(
    project: Project,
    names: Iterable[str],
    *,
    engine: DockerClient | None,
    signer: Signer,
    note: Callable[[str], None],
) -> None:
    """Bring images of the directory to every registry of matrix.yaml; to none if there is none.

    Args:
        project: The checkout.
        names: Of images that the directory has.
        engine: Pushes what it holds; None: everything is copied from the directory.
        signer: Signs digests.
        note: Told what is done.

    Raises:
        RegistryError: A registry refuses, or holds something else than what was tested.
        PublicationError: The directory is damaged.
        SigningError: `trust` names what is no key, or something is not attested as it asks.
        ToolError: There is no program to ask registries with.
    """
    destinations = target.registries(project, note)
    if not destinations:
        return
    publisher = Publisher(
        source=target.directory(project),
        engine=engine,
        seal=Seal(
            signer=signer,
            trust=Trust.of(project),
            cosign=lambda: cosign(tools.find("cosign", project.store.cache, note=note)),
        ),
        note=note,
    )
    chosen = tuple(names)
    for destination in destinations:
        publisher.publish(destination, chosen)


def platforms(index: bytes) -> Mapping[str, str]:
    """Return the platform of each manifest that an index lists, by digest."""
    listed = oci.Index.model_validate_json(index).manifests
    return {each.digest: each.platform.name for each in listed if each.platform is not None}


def tag_of(platform: str, digest: str) -> str:
    """Return the tag under which a platform's image is pushed: it never moves.

    The engine pushes only tags, and registries that clean up keep what has one.
    """
    return f"{platform.replace('/', '-')}-{digest.removeprefix('sha256:')}"


def _settled(destination: RegistryTarget, name: str, everything: Sequence[Attested]) -> bool:
    """Return whether the tag is where it should be, and nothing is missing of what it is on."""
    if destination.tag(name, TESTED) != everything[-1].digest:
        return False
    repository = destination.repository(name)
    try:
        return not any(attached.unlisted(destination.registry, repository, everything))
    except RegistryFault as error:
        if error.fault is Fault.ABSENT:
            return False
        raise
