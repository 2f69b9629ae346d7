"""A registry, asked through `oras`: it brings Docker's credentials, TLS, and retries of 5xx.

What it says no to comes as a RegistryFault that tells why; what passes is waited out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builders import tools
from builders.errors import ProcessError, RegistryError
from builders.process import run
from builders.registry import arguments
from builders.registry.arguments import Arguments
from builders.registry.artifact import Referrer
from builders.registry.faults import PATIENCE, Fault, Patience, RegistryFault, fault_of, patiently
from builders.registry.reference import Reference, Repository
from builders.registry.transport import plain

_SECONDS = 120.0
_COPY_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class Registry:
    """How registries are asked.

    Attributes:
        oras: The program. Credentials are those of Docker's own configuration (DOCKER_CONFIG).
        note: Told what is tried again.
        patience: How long what passes is waited out.
    """

    oras: Path
    note: Callable[[str], None]
    patience: Patience = PATIENCE

    def resolve(self, reference: Reference) -> str | None:
        """Return the digest of the manifest that is there; None if there is none.

        Raises:
            RegistryError: The registry does not answer, or refuses.
        """
        with contextlib.suppress(_AbsentError):
            return self._ask(reference, partial(arguments.resolve, reference)).strip()
        return None

    def manifest(self, reference: Reference) -> bytes:
        """Return the bytes of a manifest or an index, checked against the digest if that is given.

        Raises:
            RegistryError: It is not there, or not what its digest says.
        """
        with _file() as file:
            self._ask(reference, partial(arguments.fetch_manifest, reference, file))
            return _checked(file.read_bytes(), reference)

    def put(self, reference: Reference, content: bytes) -> None:
        """Put a manifest or an index where a tag or its digest names; a tag loses what it was on.

        Raises:
            RegistryError: The registry refuses it, or shows something else there afterwards.
        """
        media_type = str(json.loads(content)["mediaType"])
        with _file(content) as file:
            self._ask(reference, partial(arguments.push_manifest, reference, file, media_type))
        self._assert(reference, digest_of(content))

    def tag(self, repository: Repository, digest: str, tag: str) -> None:
        """Put a tag on a manifest that is there; another that it was on loses it.

        Raises:
            RegistryError: The registry refuses, or shows the tag on something else afterwards.
        """
        reference = repository.at(digest)
        self._ask(reference, partial(arguments.tag, reference, tag))
        self._assert(repository.tagged(tag), digest)

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """Return every tag of a repository; none if there is no such repository."""
        whole = Reference(repository=repository)
        with contextlib.suppress(_AbsentError):
            return tuple(self._ask(whole, partial(arguments.tags, repository)).split())
        return ()

    def blob(self, repository: Repository, digest: str) -> bytes:
        """Return a blob, checked against its digest.

        Raises:
            RegistryError: It is not there, or not what its digest says.
        """
        reference = repository.at(digest)
        with _file() as file:
            self._ask(reference, partial(arguments.fetch_blob, reference, file))
            return _checked(file.read_bytes(), reference)

    def referrers(self, reference: Reference) -> tuple[Referrer, ...]:
        """Return what refers to a manifest, as the registry or its fallback tag lists it.

        Raises:
            RegistryError: The manifest is not there, or the registry refuses.
        """
        found = json.loads(self._ask(reference, partial(arguments.discover, reference)))
        # oras 1.3 has renamed the list.
        listed = found.get("referrers") or found.get("manifests") or ()
        return tuple(Referrer.model_validate(each) for each in listed)

    def copy_to_layout(self, reference: Reference, directory: Path) -> None:
        """Copy an image, or an index and its images, to an OCI image layout; blobs are checked.

        Raises:
            RegistryError: It is not there, or a blob is not what its digest says.
        """
        words = partial(arguments.copy_to_layout, reference, directory)
        self._ask(reference, words, seconds=_COPY_SECONDS)

    def copy_from_layout(self, directory: Path, digest: str, repository: Repository) -> None:
        """Copy an image of an OCI image layout, bytes as they are; no tag moves.

        Raises:
            RegistryError: The registry refuses it.
        """
        words = partial(arguments.copy_from_layout, directory, digest, repository)
        self._ask(repository.at(digest), words, seconds=_COPY_SECONDS)

    def copy_with_referrers(self, directory: Path, digest: str, repository: Repository) -> None:
        """Copy an index of a layout, with what refers to it or to what it lists; no tag moves.

        Raises:
            RegistryError: The registry refuses it.
        """
        words = partial(arguments.copy_with_referrers, directory, digest, repository)
        self._ask(repository.at(digest), words, seconds=_COPY_SECONDS)

    def _ask(
        self, reference: Reference, words: Callable[..., Arguments], *, seconds: float = _SECONDS
    ) -> str:
        """Run oras until it goes well; return what it prints."""

        def once() -> str:
            argv = (str(self.oras), *words(plain=plain(reference.repository)))
            try:
                completed = run(argv, timeout=seconds, check=False)
            except ProcessError as error:
                raise RegistryError(error.problem, where=str(reference)) from error
            if completed.returncode == 0:
                return completed.stdout
            fault = fault_of(completed.stderr)
            kind = _AbsentError if fault is Fault.ABSENT else RegistryFault
            raise kind(fault, completed.stderr, where=str(reference))

        return patiently(once, self.patience, self.note)

    def _assert(self, reference: Reference, digest: str) -> None:
        """Look whether what was put there is there."""
        found = self.resolve(reference)
        if found != digest:
            raise RegistryError(
                f"holds {found or 'nothing'} after {digest} was put there",
                where=str(reference),
                remedy="look who else writes to this repository, then run it again",
            )


class _AbsentError(RegistryFault):
    """What was asked for is not there."""


def registry(
    cache: Path, *, note: Callable[[str], None], patience: Patience = PATIENCE
) -> Registry:
    """Return how registries are asked, with this machine's `oras` or the distribution's.

    Raises:
        ToolError: There is none.
    """
    return Registry(oras=tools.find("oras", cache, note=note), note=note, patience=patience)


def digest_of(content: bytes) -> str:
    """Return `sha256:…` of a manifest's or a blob's bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _checked(content: bytes, reference: Reference) -> bytes:
    if reference.digest is not None and digest_of(content) != reference.digest:
        raise RegistryError(
            f"holds the bytes of {digest_of(content)}",
            where=str(reference),
            remedy="what the registry holds is damaged: publish it again",
        )
    return content


@contextlib.contextmanager
def _file(content: bytes | None = None) -> Iterator[Path]:
    """Hand bytes to a program, or take its."""
    with tempfile.TemporaryDirectory(prefix="equivec-") as directory:
        path = Path(directory) / "content"
        if content is not None:
            path.write_bytes(content)
        yield path
