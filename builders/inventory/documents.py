"""Documents: an inventory in the two forms in which an image holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builders.inventory import cyclonedx, third_party
from builders.inventory.component import Component
from builders.paths import INVENTORY, THIRD_PARTY


def of(title: str, components: Sequence[Component], *, epoch: int) -> Mapping[str, bytes]:
    """Return the documents by their paths in an image: the same for the same inventory.

    Args:
        title: The image's name, without a place where it might be published.
        components: The inventory.
        epoch: The time that they bear, in seconds since 1970.
    """
    return {
        INVENTORY: cyclonedx.inside(title, components, epoch=epoch).encode(),
        THIRD_PARTY: third_party.text(title, components).encode(),
    }
