"""Drift: what takes the place of locked Debian packages that are no longer served.

Debian's mirrors drop a version soon after its successor is there, so a lock ages within weeks. The
current version is taken from the signed index then, and the lock that is in force says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from builders.errors import FetchError
from builders.formats import debian_version
from builders.lock import debian_index
from builders.lock.debian import DebianLock
from builders.network.apt import DebianPackage, NotListedError
from builders.network.download import NotServedError
from builders.network.mirrors import MIRROR_VARIABLE, Mirrors
from builders.store import Store


def settled(
    locks: Mapping[str, DebianLock],
    refusal: NotServedError,
    store: Store,
    places: Callable[[], Mirrors],
    *,
    note: Callable[[str], None],
) -> Mapping[str, DebianLock]:
    """Return the locks that are in force when some of their packages are no longer served.

    Args:
        locks: What was asked for, by platform.
        refusal: What the servers answered.
        store: Where apt's lists are kept.
        places: Finds the mirrors.
        note: Told what has moved.

    Raises:
        NotServedError: Something else than a Debian package is gone: nothing takes its place.
        FetchError: The index cannot be read, is not signed by the keyring, or has no newer version.
    """
    gone = {item.sha256 for item in refusal.items}
    if gone - {package.sha256 for lock in locks.values() for package in lock.packages}:
        raise refusal
    note(f"{refusal.problem}; asking the signed index")
    mirrors = places()
    return {
        platform: _settled(lock, gone, store, mirrors, note) for platform, lock in locks.items()
    }


def moving(lock: DebianLock, gone: Collection[str]) -> tuple[DebianPackage, ...]:
    """Return the packages to look for: those that are gone, and what goes with them.

    Packages of one source depend on each other's exact versions (python3.11-minimal and
    libpython3.11-minimal), so they move together, though some may still be had.

    Args:
        lock: The packages.
        gone: The sha256 of those that are not served.
    """
    sources = {_source(package) for package in lock.packages if package.sha256 in gone}
    return tuple(package for package in lock.packages if _source(package) in sources)


def replaced(
    lock: DebianLock, gone: Collection[str], current: Sequence[DebianPackage]
) -> DebianLock:
    """Return a lock with the current packages in the place of those of the same names.

    Args:
        lock: The packages as they were locked.
        gone: The sha256 of those that are not served.
        current: What the signed index has now.

    Raises:
        FetchError: A current version is not newer. An older index may be a replayed one, whose
            packages have known holes.
    """
    found = {package.name: package for package in current}
    for package in lock.packages:
        new = found.get(package.name, package)
        needed = package.sha256 in gone or new.sha256 != package.sha256
        if needed and not debian_version.is_newer(new.version, package.version):
            raise FetchError(
                f"no longer served: {package.name} {package.version};"
                f" and the signed index has no newer one, but {new.version}",
                where=lock.platform,
                remedy=f"the mirror is behind or incomplete: name another in {MIRROR_VARIABLE}",
            )
    return replace(
        lock,
        root=tuple(found.get(package.name, package) for package in lock.root),
        test=tuple(found.get(package.name, package) for package in lock.test),
        drift=moves(lock.root, current),
    )


def moves(locked: Sequence[DebianPackage], current: Sequence[DebianPackage]) -> tuple[str, ...]:
    """Return what moved, for people: `libssl3 3.0.17-1 -> 3.0.18-1`."""
    found = {package.name: package for package in current}
    return tuple(
        f"{package.name} {package.version} -> {found[package.name].version}"
        for package in locked
        if package.name in found and found[package.name] != package
    )


def of_image(target: DebianLock, build: DebianLock) -> tuple[str, ...]:
    """Return the drift of an image: of its root file system, and of the one that assembles it."""
    if target.platform == build.platform:
        return target.drift
    return (*target.drift, *(f"{move} (build platform {build.platform})" for move in build.drift))


def _settled(
    lock: DebianLock,
    gone: Collection[str],
    store: Store,
    mirrors: Mirrors,
    note: Callable[[str], None],
) -> DebianLock:
    wanted = moving(lock, gone)
    if not wanted:
        return lock
    with debian_index.updated(lock.platform, store, mirrors) as index:
        names = [package.name for package in wanted]
        try:
            current = index.show(names)
        except NotListedError as error:
            raise FetchError(
                f"no longer served, and not in the signed index either: {', '.join(names)}"
                f" ({error.problem})",
                where=error.where,
                remedy="take what replaces them into images/base, and renew the locks (nox -s"
                f" lock); or name a mirror that still has them in {MIRROR_VARIABLE}",
            ) from error
    in_force = replaced(lock, gone, current)
    for move in moves(lock.packages, current):
        note(f"drifted from the lock of {lock.platform}: {move}")
    return in_force


def _source(package: DebianPackage) -> str:
    """Return the source package's name: the archive has a directory for each."""
    return package.path.split("/")[-2]
