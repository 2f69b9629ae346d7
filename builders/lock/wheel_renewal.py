"""Renewal of a backend's wheel locks: wheels are chosen anew for each platform, and opened.

Of the projects that the backend has recipes for, the source archive is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders import list_file, parallel
from builders.errors import LockError
from builders.formats import wheel
from builders.lock import wheels as wheel_lock
from builders.lock.renewal import Renewal, changes
from builders.lock.wheels import CONTENTS, Source, Wheel, WheelLock, distribution, lock_path
from builders.network import download
from builders.network.indexes import Candidate, Indexes, NoSolutionError
from builders.network.transfer import Item
from builders.store import Store

REQUIREMENTS = "requirements.in"
PRUNE = "prune.txt"


def renewals(
    backend: Path,
    platforms: Sequence[str],
    store: Store,
    indexes: Indexes,
    *,
    progress: Callable[[int, int], None],
    recipes: Sequence[str] = (),
) -> tuple[Renewal, ...]:
    """Return a backend's lock files as they would be now.

    Args:
        backend: The backend's folder, with its requirements.in.
        platforms: For which to choose wheels.
        store: Where they are brought to be opened.
        indexes: Where they are found.
        progress: Called with the bytes of files that are there, and of all.
        recipes: The projects that are built from source.

    Raises:
        LockError: On no platform is there a solution, or an index states no digests.
        FetchError: An index cannot be reached.
        ArchiveError: A wheel is malformed or hostile.
    """
    requirements = backend / REQUIREMENTS
    choices = parallel.apply(lambda name: _choose(requirements, name, indexes, recipes), platforms)
    if all(choice.no_solution for choice in choices):
        raise LockError(
            f"no set of wheels for any platform: {choices[0].no_solution}",
            where=str(requirements),
            remedy="correct or relax the requirements; a project that has no wheels is built from"
            f" source where images/{backend.name}/wheels/<project> says how",
        )
    candidates = {c.sha256: c for choice in choices for c in choice.candidates}
    items = _items(candidates, backend, indexes)
    offered = _offered([c for c in candidates.values() if c.is_source], indexes)
    download.fetch(items.values(), store, progress=progress, settings=indexes.settings)
    prune = backend / PRUNE
    leave_out = list_file.read(prune) if prune.exists() else ()  # what builds a wheel has none
    locks = [
        WheelLock(
            path=lock_path(backend, choice.platform),
            platform=choice.platform,
            wheels=tuple(
                _open(c, items, store, leave_out) for c in choice.candidates if not c.is_source
            ),
            sources=tuple(_source(c, items, offered) for c in choice.candidates if c.is_source),
            no_solution=choice.no_solution,
        )
        for choice in choices
    ]
    # The contents come first: a lock of wheels that are not described would be malformed.
    return (_contents(backend, locks), *(_renewal(backend, lock) for lock in locks))


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """The files that were chosen for a platform, or why there are none."""

    platform: str
    candidates: tuple[Candidate, ...] = ()
    no_solution: str = ""


def _choose(requirements: Path, platform: str, indexes: Indexes, recipes: Sequence[str]) -> _Choice:
    try:
        candidates = indexes.resolve(requirements, platform, recipes)
    except NoSolutionError as error:
        return _Choice(platform=platform, no_solution=error.problem)
    return _Choice(platform=platform, candidates=candidates)


def _offered(sources: Iterable[Candidate], indexes: Indexes) -> dict[str, tuple[str, ...]]:
    """Return the wheels that there are of source archives all the same, by the archives' sha256."""
    return {
        source.sha256: tuple(sorted({w.file for w in indexes.wheels(source.name, source.version)}))
        for source in sources
    }


def _items(unique: Mapping[str, Candidate], backend: Path, indexes: Indexes) -> dict[str, Item]:
    """Return what is to be fetched, by sha256; sizes that no lock has yet are asked for."""
    if "" in unique:
        raise LockError(
            f"the index states no sha256 of {unique[''].file}",
            where=str(backend / REQUIREMENTS),
            remedy="have the index generated with digests (PEP 503), or use another",
        )
    sizes = _known_sizes(backend / "locks" / CONTENTS)
    new = [candidate for sha256, candidate in unique.items() if sha256 not in sizes]
    measured = download.measure([c.url for c in new], settings=indexes.settings)
    sizes |= {c.sha256: size for c, size in zip(new, measured, strict=True)}
    return {
        sha256: Item(name=candidate.file, url=candidate.url, sha256=sha256, size=sizes[sha256])
        for sha256, candidate in unique.items()
    }


def _known_sizes(contents: Path) -> dict[str, int]:
    try:
        return {sha256: entry.size for sha256, entry in wheel_lock.read_entries(contents).items()}
    except LockError:  # missing or malformed: it will be written anew
        return {}


def _open(
    candidate: Candidate, items: dict[str, Item], store: Store, leave_out: Sequence[str]
) -> Wheel:
    name, version = distribution(candidate.file)
    return Wheel(
        name=name,
        version=version,
        sha256=candidate.sha256,
        file=candidate.file,
        size=items[candidate.sha256].size,
        contents=wheel.inspect(
            store.path(candidate.sha256), name=candidate.file, leave_out=leave_out
        ),
    )


def _source(
    candidate: Candidate, items: dict[str, Item], offered: Mapping[str, tuple[str, ...]]
) -> Source:
    if not candidate.file.endswith(wheel_lock.SOURCE_ENDING):
        raise LockError(
            f"{candidate.file} is not a {wheel_lock.SOURCE_ENDING}: wheel stages unpack no other",
            remedy="require a version that has one",
        )
    name, version = distribution(candidate.file)
    return Source(
        name=name,
        version=version,
        sha256=candidate.sha256,
        file=candidate.file,
        size=items[candidate.sha256].size,
        wheels=offered[candidate.sha256],
    )


def _contents(backend: Path, locks: Sequence[WheelLock]) -> Renewal:
    """Return wheels.json; it is told where a recipe stands in the way of a wheel."""
    return Renewal(
        path=backend / "locks" / CONTENTS,
        text=wheel_lock.format_contents(locks),
        changes=tuple(
            f"{source.name} {source.version} is built from source by decision, though there is"
            f" {', '.join(source.wheels)}"
            for source in {
                source.sha256: source for lock in locks for source in lock.sources
            }.values()
            if source.wheels
        ),
    )


def _renewal(backend: Path, new: WheelLock) -> Renewal:
    try:
        old = wheel_lock.read(backend, new.platform)
    except LockError:  # missing or malformed: then everything is new
        old = WheelLock(path=new.path, platform=new.platform, wheels=())
    lines = changes(_versions(old), _versions(new))
    if new.no_solution != old.no_solution:
        lines = (*lines, f"no solution: {new.no_solution or 'there is one now'}")
    return Renewal(path=new.path, text=wheel_lock.format_requirements(new), changes=lines)


def _versions(lock: WheelLock) -> dict[str, tuple[str, str]]:
    return {one.name: (one.version, one.sha256) for one in lock.locked}
