"""Audit of the programs and libraries: that the dynamic loader of the image could start them.

The loader's rules are those of ld.so(8), without what could only make more libraries be found:
LD_LIBRARY_PATH and ld.so.cache (the images have neither), and libraries that the same process has
loaded already. What a program opens by name at run time is not in its headers: the smoke tests
import it.
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from builders.check import Check, from_findings
from builders.errors import ArchiveError
from builders.formats import binary, elf
from builders.formats.elf import Elf
from builders.formats.tree import FileTree

TRIPLETS = {"linux/amd64": "x86_64-linux-gnu", "linux/arm64": "aarch64-linux-gnu"}

_ORIGIN = ("$ORIGIN", "${ORIGIN}")

# Which library of the image defines the symbol versions of a family.
_FAMILIES = {
    "GLIBC": "libc.so.6",
    "GLIBCXX": "libstdc++.so.6",
    "CXXABI": "libstdc++.so.6",
}


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The ELF files of an image by their path, what is wrong with the others, and the platform."""

    platform: str
    files: Mapping[str, Elf]
    malformed: Mapping[str, str]


def programs(tree: FileTree, platform: str) -> Programs:
    """Read every ELF file of an image."""
    found: dict[str, Elf] = {}
    malformed: dict[str, str] = {}
    for path in tree.files():
        if elf.is_elf(tree.slice(path, 0, len(elf.MAGIC))):
            try:
                program = elf.read(io.BytesIO(tree.read(path)))
            except ArchiveError as error:
                malformed[path] = error.problem
                continue
            if program is not None:
                found[path] = program
    return Programs(platform=platform, files=found, malformed=malformed)


def machines(programs: Programs) -> Check:
    """Check that every ELF file is of the image's machine: a wheel's name proves nothing."""
    machine = programs.platform.rpartition("/")[2]
    found = {path: file.machine for path, file in programs.files.items()}
    found |= programs.malformed
    findings = (f"/{path}: {what}" for path, what in found.items() if what != machine)
    return from_findings("elf-machine", findings, figure=len(found))


def foreign_formats(tree: FileTree) -> Check:
    """Check that no file is a program of macOS or Windows."""
    heads = (
        (path, head)
        for path in tree.files()
        if not elf.is_elf(head := tree.slice(path, 0, binary.HEAD))
    )
    findings = (
        f"/{path}: {found.format} ({', '.join(found.machines)})"
        for path, head in heads
        if (found := binary.identify(head)) is not None
    )
    return from_findings("no-foreign-programs", findings)


def needed_libraries(tree: FileTree, programs: Programs) -> Check:
    """Check that each library that an ELF file needs is found inside the image, as ld.so would."""
    findings = (f"/{path}: needs {name}" for path, name in _needs(tree, programs))
    return from_findings(
        "needed-libraries", findings, figure=sum(len(f.needed) for f in programs.files.values())
    )


def symbol_versions(tree: FileTree, programs: Programs) -> Check:
    """Check that the image's own libc and libstdc++ define the newest versions asked for.

    The figure is the newest GLIBC version that anything needs, the limit the newest there is.
    """
    defined = {
        family: _system_library(tree, programs, library).versions_defined
        for family, library in _FAMILIES.items()
    }
    findings = (
        f"/{path}: needs {family}_{newest}, {library} defines up to "
        f"{elf.newest(defined[family], family) or 'none'}"
        for path, file in programs.files.items()
        for family, library in _FAMILIES.items()
        if (newest := elf.newest(file.versions_needed, family)) is not None
        and f"{family}_{newest}" not in defined[family]
    )
    needed = (version for file in programs.files.values() for version in file.versions_needed)
    return from_findings(
        "symbol-versions",
        findings,
        figure=elf.newest(needed, "GLIBC"),
        limit=elf.newest(defined["GLIBC"], "GLIBC"),
    )


def search_paths(tree: FileTree, programs: Programs, excused: Collection[str]) -> Check:
    """Check that no RPATH or RUNPATH leads out of the image's own directories.

    An empty or relative one means the working directory of whoever starts the program.

    Args:
        tree: The image's files.
        programs: Those among them that are programs.
        excused: Absolute paths that wheels' files may bear as long as the image has no such
            directory: the loader finds nothing there, and nobody can put something there.
    """
    borne = [
        (path, entry)
        for path, file in programs.files.items()
        for entry in (*file.rpath, *file.runpath)
    ]
    harmless = {entry for _, entry in borne if entry in excused and _is_absent(tree, entry)}
    findings = (
        f"/{path}: {problem}"
        for path, entry in borne
        if entry not in harmless and (problem := _search_path_problem(tree, path, entry))
    )
    check = from_findings("library-search-paths", findings)
    known = (f"excused, and not in the image: {entry}" for entry in sorted(harmless))
    return replace(check, details=(*check.details, *known))


def _directories(platform: str) -> tuple[str, ...]:
    """Return where ld.so looks without being told, as Debian builds it."""
    triplet = TRIPLETS[platform]
    return (f"lib/{triplet}", f"usr/lib/{triplet}", "lib", "usr/lib")


def _system_library(tree: FileTree, programs: Programs, name: str) -> Elf:
    """Return a library of the image's own; one that defines nothing if it has none."""
    for directory in _directories(programs.platform):
        found = programs.files.get(tree.resolve(f"{directory}/{name}") or "")
        if found is not None:
            return found
    return Elf(machine="")


def _needs(tree: FileTree, programs: Programs) -> Iterator[tuple[str, str]]:
    """Yield each ELF file with each thing it needs and the image lacks."""
    every = _Loader(tree, programs)
    for path in programs.files:
        every.load(path)
    # What others load is judged as they load it; the rest (and what loads itself) as it is opened.
    loader = _Loader(tree, programs)
    for path in sorted(programs.files, key=lambda path: path in every.loaded):
        if path not in loader.loaded:
            loader.load(path)
    for path, file in programs.files.items():
        if file.interpreter is not None and loader.library(file.interpreter) is None:
            yield path, file.interpreter
        yield from ((path, name) for name in file.needed if (path, name) in loader.lacking)


class _Loader:
    """Loads files as ld.so would.

    Attributes:
        loaded: The libraries that others need, and that were found.
        lacking: Each file with each thing it needs that was not found, in some way to load it.
    """

    def __init__(self, tree: FileTree, programs: Programs) -> None:
        self.loaded: set[str] = set()
        self.lacking: set[tuple[str, str]] = set()
        self._tree = tree
        self._files = programs.files
        self._machine = programs.platform.rpartition("/")[2]
        self._default = _directories(programs.platform)
        self._done: set[tuple[str, tuple[str, ...]]] = set()

    def load(self, path: str, inherited: tuple[str, ...] = ()) -> None:
        """Load a file and what it needs.

        Args:
            path: The file.
            inherited: The RPATHs of what loads it, and of what loads that. A RUNPATH is for a
                file's own needs alone, and whoever bears one asks by no other.
        """
        if (path, inherited) in self._done:
            return
        self._done.add((path, inherited))
        file = self._files[path]
        own = tuple(_expanded(path, entry) for entry in file.runpath or file.rpath)
        lent = inherited if file.runpath else tuple(dict.fromkeys((*own, *inherited)))
        for name in file.needed:
            places = (*(own if file.runpath else lent), *self._default)
            locations = [name] if "/" in name else [f"{place}/{name}" for place in places]
            library = next(filter(None, map(self.library, locations)), None)
            if library is None:
                self.lacking.add((path, name))
            else:
                self.loaded.add(library)
                self.load(library, lent)

    def library(self, location: str) -> str | None:
        """Return the path of the library at a location; None if none of the machine is there."""
        found = self._tree.resolve(location) or ""
        file = self._files.get(found)
        return found if file is not None and file.machine == self._machine else None


def _expanded(path: str, entry: str) -> str:
    """Return a search path with $ORIGIN, the directory of the file that bears it, put in."""
    for origin in _ORIGIN:
        entry = entry.replace(origin, f"/{posixpath.dirname(path)}")
    return entry


def _search_path_problem(tree: FileTree, path: str, entry: str) -> str:
    expanded = _expanded(path, entry)
    if not entry:
        return "an empty library search path"
    if not expanded.startswith("/") or "$" in expanded:
        return f"the relative library search path {entry!r}"
    if _leads_above_root(expanded):
        return f"the library search path {entry!r} leads above the root"
    if expanded == entry and _is_absent(tree, entry):
        return f"the library search path {entry!r} is not in the image"
    return ""


def _is_absent(tree: FileTree, entry: str) -> bool:
    return entry.startswith("/") and tree.resolve(entry) is None


def _leads_above_root(path: str) -> bool:
    depth = 0
    for part in path.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return False
