"""Verification: whether a published image is what is said of it, and who says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from builders.project import Project
from builders.verification.answer import Report
from builders.verification.examination import examine
from builders.verification.reference import published
from builders.verification.trust import Named, trusted

__all__ = ["Named", "verify"]


def verify(
    project: Project, reference: str, named: Named, *, name: str, note: Callable[[str], None]
) -> Iterator[Report]:
    """Hold what is published against all that is stated about it.

    Args:
        project: The checkout.
        reference: `HOST/NAME[:TAG][@DIGEST]`, or `oci:DIRECTORY[:NAME[:TAG]][@DIGEST]`.
        named: Who is trusted.
        name: What the image is called in its verdicts; empty: what it was published as.
        note: Told what takes time.

    Yields:
        A report for each image: a directory may hold several.

    Raises:
        PublicationError: The directory is damaged.
        RegistryError: The registry does not answer, or refuses.
        SigningError: Whoever is named cannot be trusted: a key is not there.
        ToolError: There is no program that signatures or registries need.
        VerifyError: There is no such image.
    """
    who = trusted(project, named, note)
    for each in published(project, reference, name, note):
        yield examine(each, who, note=note)
