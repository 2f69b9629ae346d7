"""What is at each path of the root file system, gathered from several Debian packages.

A running system's dpkg would overwrite, divert and follow links; here each path has one owner, and
whatever would need such rules is refused.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from builders.errors import ArchiveError
from builders.formats.deb import Deb
from builders.formats.layer import ROOT, Kind, Member
from builders.rootfs import system_files

_EVERY_MACHINE = "all"  # the architecture of a package without programs
_MADE_HERE = "equivec"
_WHITEOUT = ".wh."
_MOST_LINKS = 40
_REMEDY = "take another version of the package, or mend packages.txt or prune.txt in images/base"


def _nothing() -> Iterable[bytes]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is at one path.

    Attributes:
        kind: A file, a directory or a symbolic link.
        origin: The package that it is from.
        executable: Whether a file may be executed.
        target: Where a symbolic link points, as written.
        size: Of a file, in bytes.
        chunks: Yields a file's content.
    """

    kind: Kind
    origin: str
    executable: bool = False
    target: str = ""
    size: int = 0
    chunks: Callable[[], Iterable[bytes]] = _nothing


def merged(packages: Iterable[Deb], *, architecture: str, prune: Sequence[str]) -> dict[str, Entry]:
    """Return what is at each path, relative to the root and without a slash at its end.

    What the packages' maintainer scripts would have made is there too (see `system_files`); bin,
    lib and sbin are links into usr, whichever of the two names a package uses.

    Args:
        packages: Opened, in any order, and open as long as contents are read.
        architecture: Debian's name for the machine.
        prune: Glob patterns of paths to leave out; `*` matches `/` too. A directory in which
            nothing else remains goes with what was pruned in it.

    Raises:
        ArchiveError: A package is there twice or for another machine; two hold the same path, or
            one holds a path below what is no directory in another; a symbolic link leads above the
            root or to nothing; a name would delete files when the layer is applied.
    """
    by_name = _by_name(packages, architecture)
    entries: dict[str, Entry] = {}
    for package in by_name.values():
        for member in package.members:
            if member.path != ROOT:
                _add(entries, _place(member.path), _entry(package, member))
    certificates = [
        b"".join(entry.chunks())
        for path, entry in sorted(entries.items())
        if path.startswith(system_files.CERTIFICATES) and entry.kind is Kind.FILE
    ]
    entries = pruned(entries, prune)
    for path, entry in _made(entries, certificates, by_name):
        _add(entries, path, entry)
    for path in sorted(entries):
        _check(entries, path)
    return entries


def pruned(entries: Mapping[str, Entry], patterns: Sequence[str]) -> dict[str, Entry]:
    """Leave out what matches a pattern, and each directory in which therefore nothing remains."""
    kept: dict[str, Entry] = {}
    occupied: set[str] = set()
    emptied: set[str] = set()
    # Backwards, so that what is in a directory comes before it.
    for path, entry in sorted(entries.items(), reverse=True):
        unwanted = path in emptied or any(fnmatchcase(path, pattern) for pattern in patterns)
        if unwanted and path not in occupied:
            emptied.add(posixpath.dirname(path))
        else:
            kept[path] = entry
            occupied.add(posixpath.dirname(path))
    return kept


def _by_name(packages: Iterable[Deb], architecture: str) -> dict[str, Deb]:
    found: dict[str, Deb] = {}
    for package in sorted(packages, key=lambda package: package.name):
        if package.architecture not in (architecture, _EVERY_MACHINE):
            raise _refusal(package.name, f"is for {package.architecture}, not {architecture}")
        if package.name in found:
            raise _refusal(package.name, "is there twice")
        found[package.name] = package
    return found


def _place(path: str) -> str:
    """Return where a path is once bin, lib and sbin are links into usr."""
    top, slash, rest = path.partition("/")
    return f"{system_files.MERGED.get(top, top)}{slash}{rest}"


def _entry(package: Deb, member: Member) -> Entry:
    if any(part.startswith(_WHITEOUT) for part in member.path.split("/")):
        raise _refusal(package.name, f"{member.path!r} would delete files below the layer")
    if member.kind is Kind.DIRECTORY:
        return Entry(kind=Kind.DIRECTORY, origin=package.name)
    if member.kind is Kind.SYMLINK:
        return Entry(kind=Kind.SYMLINK, origin=package.name, target=member.target)
    return Entry(
        kind=Kind.FILE,
        origin=package.name,
        executable=bool(member.mode & 0o100),
        size=member.size,
        chunks=partial(package.chunks, member),
    )


def _made(
    entries: Mapping[str, Entry], certificates: Sequence[bytes], packages: Mapping[str, Deb]
) -> Iterator[tuple[str, Entry]]:
    """Yield what no package holds."""
    links = {name: path for name, path in system_files.MERGED.items() if path in entries}
    for path, target in {**links, **system_files.LINKS}.items():
        yield path, Entry(kind=Kind.SYMLINK, origin=_MADE_HERE, target=target)
    controls = {name: package.control for name, package in packages.items()}
    for path, content in system_files.files(certificates, controls).items():
        yield (
            path,
            Entry(
                kind=Kind.FILE,
                origin=_MADE_HERE,
                size=len(content),
                chunks=partial(iter, (content,)),
            ),
        )


def _add(entries: dict[str, Entry], path: str, entry: Entry) -> None:
    """Put an entry, and the directories that it is in, where nothing else is."""
    there = entries.setdefault(path, entry)
    if there is not entry and not there.kind is entry.kind is Kind.DIRECTORY:
        raise _refusal(entry.origin, f"holds {path!r}, which {there.origin} holds too")
    directory = posixpath.dirname(path)
    while directory and directory not in entries:
        entries[directory] = Entry(kind=Kind.DIRECTORY, origin=entry.origin)
        directory = posixpath.dirname(directory)


def _check(entries: Mapping[str, Entry], path: str) -> None:
    """Refuse what is below no directory, and a symbolic link that leads nowhere."""
    entry = entries[path]
    directory = posixpath.dirname(path)
    if directory and (above := entries[directory]).kind is not Kind.DIRECTORY:
        raise _refusal(
            entry.origin,
            f"holds {path!r} below what {above.origin} has as a {above.kind}",
        )
    if entry.kind is Kind.SYMLINK and not _leads_somewhere(entries, path):
        raise _refusal(entry.origin, f"{path!r} is a link to {entry.target!r}: nothing in the root")


def _leads_somewhere(entries: Mapping[str, Entry], link: str) -> bool:
    """Follow a symbolic link inside the root, which it may not leave upwards."""
    todo = link.split("/")[::-1]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if not done:
                return False
            done.pop()
        elif part not in ("", "."):
            entry = entries.get("/".join((*done, part)))
            if entry is None:
                return False
            if entry.kind is not Kind.SYMLINK:
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                return False
            if entry.target.startswith("/"):
                done.clear()
            todo += entry.target.split("/")[::-1]
    return True


def _refusal(package: str, problem: str) -> ArchiveError:
    return ArchiveError(problem, where=package, remedy=_REMEDY)
