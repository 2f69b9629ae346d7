"""Renewal of the Debian locks: the newest versions of the listed packages, by the signed index."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from builders.errors import LockError
from builders.formats import deb, elf
from builders.formats.layer import Kind
from builders.lock import debian as debian_lock
from builders.lock import debian_index
from builders.lock.debian import (
    ROOT_LIST,
    TEST_LIST,
    DebianLock,
    Libraries,
    lock_path,
)
from builders.lock.renewal import Renewal, changes
from builders.network import download
from builders.network.apt import DebianPackage
from builders.network.locating import place_packages
from builders.network.mirrors import Mirrors
from builders.store import Store

_LIBRARIES = {"libc6": "libc.so.6", "libstdc++6": "libstdc++.so.6"}
"""The libraries whose symbol versions wheels ask for, by the packages that hold them."""


def renewal(
    base: Path,
    platform: str,
    store: Store,
    mirrors: Mirrors,
    *,
    progress: Callable[[int, int], None],
) -> Renewal:
    """Return the lock for a platform as it would be now.

    Args:
        base: The folder, such as `images/base`, with the lists of packages.
        platform: Such as `linux/arm64`.
        store: Where packages are brought to be opened.
        mirrors: Where they are found.
        progress: Called with the bytes of packages that are there, and of all.

    Raises:
        FetchError: A mirror cannot be reached, is not trusted, or lacks a package.
        ArchiveError: A package is malformed or hostile.
    """
    root_names = debian_lock.listed(base / ROOT_LIST, platform)
    test_names = debian_lock.listed(base / TEST_LIST, platform)
    with debian_index.updated(platform, store, mirrors) as index:
        found = {package.name: package for package in index.show((*root_names, *test_names))}
    lock = DebianLock(
        platform=platform,
        libraries=_libraries([found[name] for name in root_names], store, mirrors, progress),
        root=tuple(found[name] for name in root_names),
        test=tuple(found[name] for name in test_names),
    )
    return Renewal(
        path=lock_path(base, platform),
        text=debian_lock.format_lock(lock),
        changes=changes(_versions(_locked(base, platform)), _versions(lock.packages)),
    )


def symbol_versions(package: Path, library: str) -> tuple[str, ...]:
    """Return the symbol versions that a package's library defines.

    Args:
        package: A .deb file.
        library: The beginning of the library's file name, such as `libc.so.6`.

    Raises:
        LockError: The package does not hold it.
    """
    with deb.opened(package) as contents:
        for member in contents.members:
            # libstdc++.so.6 itself is a link, and beside it is a script for the debugger.
            name = PurePosixPath(member.path).name
            if member.kind == Kind.FILE and name.startswith(library):
                found = elf.read(io.BytesIO(contents.read(member)))
                if found is not None:
                    return found.versions_defined
    raise LockError(
        f"{package.name} holds no {library}", remedy="correct the list of packages (images/base)"
    )


def _libraries(
    packages: Sequence[DebianPackage],
    store: Store,
    mirrors: Mirrors,
    progress: Callable[[int, int], None],
) -> Libraries:
    holders = {package.name: package for package in packages if package.name in _LIBRARIES}
    download.fetch(place_packages(holders.values(), mirrors), store, progress=progress)
    versions = [
        version
        for name, package in holders.items()
        for version in symbol_versions(store.path(package.sha256), _LIBRARIES[name])
    ]
    glibc, glibcxx = elf.newest(versions, "GLIBC"), elf.newest(versions, "GLIBCXX")
    if glibc is None or glibcxx is None:
        raise LockError(
            f"{' and '.join(_LIBRARIES)} define no symbol versions",
            where=ROOT_LIST,
            remedy="keep both in the list: wheels need them",
        )
    return Libraries(glibc=glibc, glibcxx=glibcxx)


def _locked(base: Path, platform: str) -> tuple[DebianPackage, ...]:
    try:
        old = debian_lock.read(base, platform)
    except LockError:  # missing, malformed or of other lists: then everything is new
        return ()
    return old.packages


def _versions(packages: Iterable[DebianPackage]) -> dict[str, tuple[str, str]]:
    return {package.name: (package.version, package.sha256) for package in packages}
