"""References: what somebody asks about, in a registry or in a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from builders.errors import VerifyError
from builders.matrix.spelling import suggestion
from builders.project import Project
from builders.registry import reference as registry_references
from builders.registry.client import registry
from builders.target import OciTarget, RegistryTarget, Target
from builders.verification.published import Published

OCI = "oci:"

LATEST = "latest"
"""The tag that a reference without tag and digest means, as everywhere."""


def published(
    project: Project, reference: str, name: str, note: Callable[[str], None]
) -> tuple[Published, ...]:
    """Return what a reference leads to now: several images, if it is a directory.

    Args:
        project: The checkout, whose cache holds oras where it is not installed.
        reference: `HOST/NAME[:TAG][@DIGEST]`, with or without `docker://`; or
            `oci:DIRECTORY[:NAME[:TAG]][@DIGEST]`.
        name: What the image is called in its verdicts; empty: what it was published as.
        note: Told what takes time.

    Raises:
        PublicationError: The directory is damaged.
        RegistryError: It is no reference, or the registry does not answer, or refuses.
        ToolError: There is no oras.
        VerifyError: It leads to nothing.
    """
    if reference.startswith(OCI):
        return tuple(_in_directory(project, reference.removeprefix(OCI), name))
    asked = registry_references.reference(reference)
    repository = asked.repository
    target = RegistryTarget(
        where=f"docker://{repository.host}",
        root=repository.host,
        names=(repository.path,),
        registry=registry(project.store.cache, note=note),
    )
    tag = asked.tag or LATEST
    digest = asked.digest or target.tag(repository.path, tag)
    if digest is None:
        raise VerifyError(
            f"there is no tag {tag}",
            where=str(repository),
            remedy=_there_are(target, repository.path),
        )
    return (
        Published(
            target=target,
            name=repository.path,
            digest=digest,
            expected=name or repository.path,
            signed=True,
        ),
    )


def _in_directory(project: Project, text: str, expected: str) -> Iterator[Published]:
    """Yield the images of a directory that a text asks for."""
    path, _, rest = text.partition("@")[0].partition(":")
    short, _, tag = rest.partition(":")
    digest = text.partition("@")[2]
    directory = Path(path)
    attested = directory.absolute().parent / "attestations"
    if directory.absolute() == project.publication.absolute():
        attested = project.attestations
    target = OciTarget(where=f"{OCI}{path}", directory=directory, attested=attested)
    indexes = target.indexes()
    found = [each for each in indexes if short in ("", each, each.rpartition("/")[2])]
    if not found:
        known = [each.rpartition("/")[2] for each in indexes]
        raise VerifyError(
            f"there is no image {short}{suggestion(short, known)}"
            if known
            else "there is no image",
            where=target.where,
            remedy=f"there are: {', '.join(known)}" if known else "",
        )
    if (digest or expected) and len(found) > 1:
        raise VerifyError(
            f"holds {len(found)} images", where=target.where, remedy=f"name one: {OCI}{path}:NAME"
        )
    for each in found:
        index = digest or (target.tag(each, tag) if tag else indexes[each])
        if index is None:
            raise VerifyError(
                f"{each} has no tag {tag}", where=target.where, remedy=_there_are(target, each)
            )
        yield Published(
            target=target, name=each, digest=index, expected=expected or each, signed=False
        )


def _there_are(target: Target, name: str) -> str:
    tags = ", ".join(sorted(target.tags(name)))
    return f"there are: {tags}" if tags else "nothing of it was released: name a digest"
