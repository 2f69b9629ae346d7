"""Debian's signed index of packages: what the archive serves now."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from builders.lock.debian import SUITE
from builders.network.apt import Index
from builders.network.contained_apt import ContainedIndex
from builders.network.mirrors import Mirrors
from builders.store import Store


@contextlib.contextmanager
def updated(platform: str, store: Store, mirrors: Mirrors) -> Iterator[Index | ContainedIndex]:
    """Hold the index of a platform, as it is now.

    The host's own apt reads it, and its lists are kept in the cache; where that is not there or has
    not Debian's keys (macOS, Fedora, Ubuntu as it is installed), the official image's does.

    Raises:
        FetchError: A mirror cannot be reached, or its signature is not by the keyring.
    """
    architecture = platform.rpartition("/")[2]
    if shutil.which("apt-get") is None or not mirrors.keyring.is_file():
        yield ContainedIndex(mirrors=mirrors, suite=SUITE, architecture=architecture)
        return
    with store.exclusive(f"apt-{SUITE}-{architecture}"):
        index = Index(
            directory=store.cache / "apt" / f"{SUITE}-{architecture}",
            mirrors=mirrors,
            suite=SUITE,
            architecture=architecture,
        )
        index.update()
        yield index
