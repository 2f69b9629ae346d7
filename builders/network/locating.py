"""Where locked files are to be had: on Debian's mirrors, and on the package indexes.

Nothing outside the machine is asked for what the store has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from builders import parallel
from builders.errors import FetchError
from builders.lock.wheels import Source, Wheel, WheelLock
from builders.network.apt import DebianPackage
from builders.network.indexes import Candidate, Indexes, NoSolutionError
from builders.network.mirrors import Mirrors, mirrors
from builders.network.transfer import Item
from builders.store import Store


def locate_packages(
    packages: Iterable[DebianPackage], store: Store, places: Callable[[], Mirrors] = mirrors
) -> tuple[Item, ...]:
    """Return where those packages are that the store lacks; only then mirrors are looked for.

    Raises:
        FetchError: No mirror is known.
    """
    missing = [package for package in packages if store.find(package.sha256, package.size) is None]
    return place_packages(missing, places()) if missing else ()


def place_packages(packages: Iterable[DebianPackage], places: Mirrors) -> tuple[Item, ...]:
    """Return where packages are on given mirrors."""
    return tuple(
        Item(
            name=package.path.rpartition("/")[2],
            url=places.url(package.archive, package.path),
            sha256=package.sha256,
            size=package.size,
        )
        for package in packages
    )


def locate_wheels(locks: Iterable[WheelLock], store: Store, indexes: Indexes) -> tuple[Item, ...]:
    """Return where those wheels and source archives of some locks are that the store lacks.

    Raises:
        FetchError: An index cannot be reached, or the indexes do not have a locked file.
    """
    lacking = [
        (lock, files)
        for lock in locks
        if (files := [one for one in lock.locked if store.find(one.sha256, one.size) is None])
    ]
    offers = parallel.apply(lambda entry: _offer(entry[0], indexes), lacking)
    return tuple(
        place_wheel(file, lock, offer)
        for (lock, files), offer in zip(lacking, offers, strict=True)
        for file in files
    )


def place_wheel(wheel: Wheel | Source, lock: WheelLock, offer: Sequence[Candidate]) -> Item:
    """Return where a wheel or source archive of a lock is, among the files that indexes offer.

    An index that states no digest is believed by the file's name: the download is verified.

    Raises:
        FetchError: It is not among them.
    """
    named = [candidate for candidate in offer if candidate.file == wheel.file]
    for candidate in named:
        if candidate.sha256 in ("", wheel.sha256):
            return Item(name=wheel.file, url=candidate.url, sha256=wheel.sha256, size=wheel.size)
    other = f", but with sha256 {named[0].sha256}" if named else ""
    raise FetchError(
        f"no package index has {wheel.file} with sha256 {wheel.sha256}{other}",
        where=str(lock.path),
        remedy="check pip's index settings (pip config list), or renew the lock (nox -s lock)",
    )


def _offer(lock: WheelLock, indexes: Indexes) -> tuple[Candidate, ...]:
    try:
        return indexes.locate(lock.path, lock.platform, [source.name for source in lock.sources])
    except NoSolutionError as error:
        raise FetchError(
            f"the package indexes do not have every locked wheel: {error.problem}",
            where=str(lock.path),
            remedy="check pip's index settings (pip config list), or renew the lock (nox -s lock)",
        ) from error
