"""Audit of what an image must not hold: tools, traces of the builder, privileges, late times."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from builders.check import Check, from_findings
from builders.formats.layer import Kind
from builders.formats.layout import Layout
from builders.formats.tree import FileTree
from builders.paths import SITE

_SCRIPTS = (f"{SITE}/bin", "usr/local/bin", "usr/local/sbin")

_TOOLS = {
    "a shell": re.compile(r"(ba|da|a|k|mk|z|c|tc|fi)?sh|busybox|toybox"),
    "a package manager": re.compile(
        r"apt(-.+)?|dpkg(-.+)?|rpm|apk|pip[\d.]*|uvx?|easy_install|conda|npm"
    ),
    "a compiler": re.compile(
        r"([a-z0-9_]+-linux-gnu-)?(gcc|g\+\+|cc|c\+\+|cpp|c99|c89|clang(\+\+)?|tcc|ld(\.(bfd|gold|lld))?|as|rustc)"
        r"(-[\d.]+)?"
    ),
}
_INSTALLERS = re.compile(r".*/(pip|ensurepip)/__init__\.py")

_SET_ID = 0o6000
_STICKY = 0o1000
_WORLD_WRITABLE = 0o002


def no_scripts(tree: FileTree) -> Check:
    """Check that no installer wrote its `bin/` scripts: they name the builder's interpreter."""
    findings = (
        f"/{path}"
        for directory in _SCRIPTS
        for path in tree.below(directory)
        if not tree.entries[path].is_directory
    )
    return from_findings("no-scripts", findings)


def no_builder_paths(tree: FileTree, paths: Sequence[str]) -> Check:
    """Check that no file and no link mentions a path of the machine that built the image.

    Args:
        tree: The image's files.
        paths: What must not occur, such as the cache directory's path.
    """
    needles = [(path, path.encode()) for path in paths]
    findings = (
        f"/{path}: mentions {text}"
        for path, entry in tree.entries.items()
        for text, needle in needles
        if text in entry.member.target or (entry.is_file and _occurs(tree, path, needle))
    )
    return from_findings("no-builder-paths", findings)


def no_tools(tree: FileTree) -> Check:
    """Check that there is no shell, package manager or compiler to work with from inside."""
    return from_findings("no-tools", _tools(tree))


def no_privileges(tree: FileTree) -> Check:
    """Check that nothing lends privileges or can be written by everyone.

    A sticky directory may be writable, as /tmp is everywhere: there, nobody can touch what is not
    theirs. Devices never get here: no layer may hold one.
    """
    return from_findings("no-privileges", _privileges(tree))


def times(tree: FileTree, layout: Layout, epoch: int) -> Check:
    """Check that no tar header of any layer is later than the epoch, nor the image's own history.

    The builder's failure to rewrite the times is only a warning of it. The figure is the newest
    time, the limit the epoch, both in seconds since 1970.
    """
    newest = max((m.newest for members in tree.layers for m in members), default=0.0)
    return from_findings("times", _late(tree, layout, epoch), figure=newest, limit=epoch)


def _occurs(tree: FileTree, path: str, needle: bytes) -> bool:
    """Look for bytes in a file, also where two chunks meet."""
    seam = b""
    for chunk in tree.chunks(path):
        if needle in chunk or needle in seam + chunk[: len(needle) - 1]:
            return True
        seam = chunk[-(len(needle) - 1) :]
    return False


def _tools(tree: FileTree) -> Iterator[str]:
    for path in tree.entries:
        if _INSTALLERS.fullmatch(path):
            yield f"/{path}: a package manager"
            continue
        name = posixpath.basename(path)
        for kind, names in _TOOLS.items():
            if names.fullmatch(name) and tree.is_executable(path):
                yield f"/{path}: {kind}"


def _privileges(tree: FileTree) -> Iterator[str]:
    for path, entry in tree.entries.items():
        member = entry.member
        if "security.capability" in member.xattrs:
            yield f"/{path}: has file capabilities"
        if member.kind is Kind.SYMLINK:
            continue  # its own mode means nothing
        if member.mode & _SET_ID:
            yield f"/{path}: setuid or setgid ({member.mode:04o})"
        if member.mode & _WORLD_WRITABLE and not (entry.is_directory and member.mode & _STICKY):
            yield f"/{path}: writable by everyone ({member.mode:04o})"


def _late(tree: FileTree, layout: Layout, epoch: int) -> Iterator[str]:
    for index, members in enumerate(tree.layers):
        for member in members:
            if member.newest > epoch:
                yield f"layer {index}: /{member.path}: {member.newest:.0f}"
    if layout.created is None or layout.created.timestamp() != epoch:
        yield f"the image says it was created {_said(layout.created)}"
    for created in layout.history:
        if created.timestamp() > epoch:
            yield f"a step of its history was made {_said(created)}"


def _said(time: datetime | None) -> str:
    return "at no time" if time is None else f"at {time.isoformat()}"
