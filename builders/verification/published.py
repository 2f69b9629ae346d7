"""What a reference leads to, got by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from builders.errors import PublicationError, VerifyError
from builders.formats import layout as layouts
from builders.formats import oci
from builders.formats.layout import Layout
from builders.registry.faults import Fault, RegistryFault
from builders.target import Target

OF_THE_REGISTRY = (Fault.UNAUTHORIZED, Fault.CERTIFICATE)
"""Beside what passes: faults that tell nothing of what is there."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a reference leads to.

    Attributes:
        target: Where it is.
        name: The image's there.
        digest: Of an index, or of one platform's manifest.
        expected: What the image must be called in its verdicts: `<prefix>/<backend>-<model>`, or
            the end of that.
        signed: Whether its manifests bear signatures of their own, as in a registry.
    """

    target: Target
    name: str
    digest: str
    expected: str
    signed: bool

    @property
    def where(self) -> str:
        """What other tools call it, with its digest."""
        return self.reference(self.digest)

    def reference(self, digest: str) -> str:
        """Return what other tools call one of its manifests."""
        return f"{self.target.reference(self.name)}@{digest}"

    def manifest(self, digest: str) -> bytes:
        """Return the bytes of the index, or of a platform's manifest.

        Raises:
            PublicationError: They are not there, or not what the digest says.
            RegistryError: Likewise; or the registry does not answer, or refuses.
        """
        return self.target.manifest(self.name, digest)

    def pulled(self, platform: str, digest: str, directory: Path) -> Layout:
        """Copy an image to a layout of its own, and verify each byte of it.

        Args:
            platform: What the index says that it is for; empty: there is no index.
            digest: Of its manifest.
            directory: Where to.

        Raises:
            ArchiveError: A layer does not decompress.
            LayoutError: A blob is not what its digest says.
            PublicationError: It is not there, or for another platform than the index says.
            RegistryError: It is not there, or the registry does not answer, or refuses.
        """
        self.target.copy(self.name, digest, directory)
        layout = layouts.read(directory)
        if layout.manifest_digest != digest:
            raise PublicationError(f"{layout.manifest_digest} came instead of {digest}")
        if platform not in ("", layout.platform):
            raise PublicationError(f"it is for {layout.platform}, and the index says {platform}")
        return layout


def platforms(manifest: bytes, digest: str) -> Mapping[str, str]:
    """Return the digest of each platform's manifest; one of no platform, where there is no index.

    Args:
        manifest: The bytes of an index, or of a platform's manifest.
        digest: Theirs.

    Raises:
        VerifyError: The index does not name each platform once.
    """
    try:
        index = oci.Index.model_validate_json(manifest)
    except ValidationError:
        return {"": digest}
    found = {
        each.platform.name: each.digest for each in index.manifests if each.platform is not None
    }
    if len(found) != len(index.manifests) or not found:
        raise VerifyError("an index that does not name each platform once", where=digest)
    return dict(sorted(found.items()))


def tells_nothing(error: Exception) -> bool:
    """Return whether it was the registry's fault, so that nothing is known of what is there."""
    return isinstance(error, RegistryFault) and (
        error.fault.temporary or error.fault in OF_THE_REGISTRY
    )
