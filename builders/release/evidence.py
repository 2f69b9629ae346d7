"""What is published of an image, and who says what of it: read from a target, and verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from builders.attestation import test_result
from builders.attestation.statement import Attestation, Kind, Statement
from builders.errors import EquivecError, PublicationError, RegistryError, SigningError
from builders.formats import oci
from builders.target import Target
from builders.verdict import Verdict
from builders.verification.published import tells_nothing

_PASSED = "PASSED"

Verify = Callable[[Attestation, bytes], str]
"""Returns who signed it for these bytes; raises SigningError unless that is somebody trusted."""

Signature = Callable[[str], str]
"""Returns who signed what a reference leads to; raises SigningError unless that is somebody
trusted."""

Read = Callable[[Statement], tuple[Verdict, ...]]
"""Returns the verdicts in a statement; raises SigningError where the statement does not count."""


@dataclass(frozen=True, kw_only=True)
class Statements:
    """What is said of one manifest or index, as far as it counts.

    Attributes:
        digest: `sha256:…` of it.
        kinds: The kinds of statements that count.
        signers: Who signed them; nobody where nobody need to.
        verdicts: The verdicts among them; of an index, none.
        disregarded: Why the others do not count, a line each, which begins with the kind.
        unreadable: Why nothing of what is said can be read; empty where it can.
        unsigned: Why its own signature, in a registry, does not count; empty where it does, or
            where none is asked for.
    """

    digest: str
    kinds: frozenset[Kind] = frozenset()
    signers: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    disregarded: tuple[str, ...] = ()
    unreadable: str = ""
    unsigned: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """An image as a target has it.

    Attributes:
        index: What is said of the multi-platform index.
        platforms: What is said of each platform's manifest.
        damage: What is wrong with its bytes, whatever is said of them.
    """

    index: Statements
    platforms: Mapping[str, Statements]
    damage: tuple[str, ...]


def gather(
    target: Target,
    name: str,
    digest: str,
    verify: Verify | None,
    signature: Signature | None = None,
) -> Published:
    """Read what a target has of an image, and what counts of what is said of it.

    Args:
        target: A publication.
        name: `<prefix>/<backend>-<model>`.
        digest: Of the image's index there.
        verify: Says what counts; None where nobody is named who may sign: then every statement
            counts that is about the digest.
        signature: Says who signed a manifest itself; None where it need not be signed.

    Raises:
        RegistryError: The target cannot be read.
    """
    damage: list[str] = []
    content = _bytes(target, name, digest, damage)
    listed = _listed(content, damage)

    def said(each: str, content: bytes, read: Read) -> Statements:
        if not content:
            return Statements(digest=each)  # of what is not there, nothing is said
        unsigned = _unsigned(f"{target.reference(name)}@{each}", signature)
        try:
            found = target.attestations(name, each)
        except SigningError as error:
            return Statements(digest=each, unreadable=_first_line(error), unsigned=unsigned)
        return replace(_counting(each, content, found, verify, read), unsigned=unsigned)

    return Published(
        index=said(digest, content, lambda statement: _refuse_index(statement, listed)),
        platforms={
            platform: said(each, _bytes(target, name, each, damage), _verdicts)
            for platform, each in listed.items()
        },
        damage=tuple(damage),
    )


def _unsigned(reference: str, signature: Signature | None) -> str:
    """Return why the signature of a manifest does not count; nothing where it does."""
    if signature is not None:
        try:
            signature(reference)
        except SigningError as error:
            return _first_line(error)
    return ""


def _counting(
    digest: str,
    content: bytes,
    attestations: tuple[Attestation, ...],
    verify: Verify | None,
    read: Read,
) -> Statements:
    """Return what is said of a manifest or index, and counts."""
    kinds: set[Kind] = set()
    signers: list[str] = []
    verdicts: list[Verdict] = []
    disregarded: list[str] = []
    for attestation in attestations:
        statement = attestation.statement
        try:
            signers += _signer(attestation, digest, content, verify)
            verdicts += read(statement)
            kinds.add(statement.kind)
        except SigningError as error:
            disregarded.append(f"{statement.kind.word}: {_first_line(error)}")
    return Statements(
        digest=digest,
        kinds=frozenset(kinds),
        signers=tuple(dict.fromkeys(signers)),
        verdicts=tuple(verdicts),
        disregarded=tuple(disregarded),
    )


def _signer(
    attestation: Attestation, digest: str, content: bytes, verify: Verify | None
) -> tuple[str, ...]:
    """Return who signed an attestation of a digest; nobody where nobody need to."""
    if attestation.statement.digest != digest:
        raise SigningError(f"it is about {attestation.statement.digest}")
    return () if verify is None else (verify(attestation, content),)


def _verdicts(statement: Statement) -> tuple[Verdict, ...]:
    """Return the verdict in a statement about an image, if it is a test result."""
    return (test_result.verdict_of(statement),) if statement.kind is Kind.TEST_RESULT else ()


def _refuse_index(statement: Statement, listed: Mapping[str, str]) -> tuple[Verdict, ...]:
    """Refuse a test result of an index that is about other images, or not of passed ones."""
    if statement.kind is Kind.TEST_RESULT:
        if dict(test_result.platforms_of(statement)) != dict(listed):
            raise SigningError("it is about other images than the index lists")
        if statement.predicate.get("result") != _PASSED:
            raise SigningError(f"it says {statement.predicate.get('result')}")
    return ()


def _bytes(target: Target, name: str, digest: str, damage: list[str]) -> bytes:
    """Return a manifest, or nothing where it is not there, or not what its digest says."""
    try:
        return target.manifest(name, digest)
    except (PublicationError, RegistryError) as error:
        if tells_nothing(error):
            raise
        damage.append(f"{digest}: {_first_line(error)}")
        return b""


def _listed(content: bytes, damage: list[str]) -> Mapping[str, str]:
    """Return the digest of each platform's manifest in an index."""
    if not content:
        return {}
    try:
        index = oci.Index.model_validate_json(content)
    except ValidationError as error:
        damage.append(f"the index is malformed: {error.errors()[0]['msg']}")
        return {}
    listed: dict[str, str] = {}
    for descriptor in index.manifests:
        platform = descriptor.platform.name if descriptor.platform else "no platform"
        if platform in listed:
            damage.append(f"the index has two images for {platform}")
        listed[platform] = descriptor.digest
    return listed


def _first_line(error: EquivecError) -> str:
    return error.problem.partition("\n")[0]
