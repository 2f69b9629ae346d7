"""Debian's signed index of packages: what the archive serves now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from builders.lock.debian import SUITE
from builders.network.apt import Index
from builders.network.mirrors import Mirrors
from builders.store import Store


@contextlib.contextmanager
def updated(platform: str, store: Store, mirrors: Mirrors) -> Iterator[Index]:
    """Hold the index of a platform, as it is now; its lists are kept in the cache.

    Raises:
        FetchError: A mirror cannot be reached, or its signature is not by the keyring.
    """
    architecture = platform.rpartition("/")[2]
    with store.exclusive(f"apt-{SUITE}-{architecture}"):
        index = Index(
            directory=store.cache / "apt" / f"{SUITE}-{architecture}",
            mirrors=mirrors,
            suite=SUITE,
            architecture=architecture,
        )
        index.update()
        yield index
