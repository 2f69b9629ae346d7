"""The lock session: every lock of the images, chosen anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builders.lock import debian_renewal, wheel_renewal
from builders.lock.renewal import Renewal
from builders.network import indexes
from builders.network.mirrors import mirrors
from builders.store import Store


def renewals(
    images: Path,
    backends: Mapping[str, Sequence[str]],
    store: Store,
    *,
    note: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Renewal, ...]:
    """Resolve everything that images are made from; nothing of the checkout is written.

    Args:
        images: The checkout's folder of that name.
        backends: The platforms of each backend, hosts included.
        store: Where what was chosen is brought to be opened.
        note: Told what is being done.
        progress: Called with the bytes that are there, and of all that are needed.

    Returns:
        Every lock file's new content, whether it differs from what is there or not.

    Raises:
        LockError: A list or requirement cannot be met.
        FetchError: A mirror or index cannot be reached.
        ArchiveError: A package or wheel is malformed or hostile.
    """
    found: list[Renewal] = []
    configured = indexes.configured(store.cache)
    for backend, platforms in backends.items():
        note(f"choosing the wheels of {backend} for {', '.join(platforms)}")
        found += wheel_renewal.renewals(
            images / backend, platforms, store, configured, progress=progress
        )
    places = mirrors()
    targets = {name for names in backends.values() for name in names if name.startswith("linux/")}
    for platform in sorted(targets):
        note(f"choosing the Debian packages for {platform}")
        found.append(
            debian_renewal.renewal(images / "base", platform, store, places, progress=progress)
        )
    return tuple(found)
