"""Audit of the byte code: each .pyc is that of its source, whatever the file times."""

from __future__ import annotations

import _imp
import posixpath
import re
import struct
from collections.abc import Iterator

from builders.check import Check, from_findings
from builders.formats.tree import FileTree

TAG = "cpython-311"
MAGIC = struct.pack("<H2s", 3495, b"\r\n")
"""What the byte code of the images' own Python 3.11 begins with (importlib/_bootstrap_external.py).

Not `importlib.util.MAGIC_NUMBER`: Equivec may run on a later Python.
"""

_HEADER = struct.Struct("<4sI8s")
_UNCHECKED_HASH = 0b01
_CACHED = re.compile(rf"(?P<directory>.*/)__pycache__/(?P<module>[^/]+)\.{TAG}(\.opt-\d)?\.pyc")


def byte_code(tree: FileTree, sources: tuple[str, ...]) -> Check:
    """Check that byte code is there and is its source's.

    Byte code must be valid by its source's hash, never checked at run time (PEP 552): time stamps
    are all the same here, and a source that is newer would be compiled anew at every start.

    Args:
        tree: The image's files.
        sources: The directories whose every module must have its byte code.
    """
    findings = [*_stale(tree), *_missing(tree, sources)]
    return from_findings("byte-code", findings, figure=sum(_is_byte_code(p) for p in tree.files()))


def source_of(path: str) -> str | None:
    """Return where the source of a byte code file is; None if it is in no place for byte code."""
    match = _CACHED.fullmatch(path)
    return f"{match['directory']}{match['module']}.py" if match else None


def _is_byte_code(path: str) -> bool:
    return path.endswith((".pyc", ".pyo"))


def _stale(tree: FileTree) -> Iterator[str]:
    for path in filter(_is_byte_code, tree.files()):
        place = source_of(path)
        if place is None:
            yield f"/{path}: not in a place for {TAG} byte code"
            continue
        source = tree.resolve(place)  # Debian's standard library has modules that are links
        if source is None or not tree.entries[source].is_file:
            yield f"/{path}: its source is not there"
        elif problem := _header_problem(tree.slice(path, 0, _HEADER.size), tree.read(source)):
            yield f"/{path}: {problem}"


def _header_problem(header: bytes, source: bytes) -> str:
    if len(header) < _HEADER.size:
        return "cut off"
    magic, flags, digest = _HEADER.unpack(header)
    if magic != MAGIC:
        return f"not the byte code of {TAG}"
    if flags != _UNCHECKED_HASH:
        return "valid by time or checked at run time, not by hash"
    if digest != _imp.source_hash(int.from_bytes(MAGIC, "little"), source):
        return "not that of its source"
    return ""


def _missing(tree: FileTree, sources: tuple[str, ...]) -> Iterator[str]:
    for directory in sources:
        for path in tree.below(directory):
            if not path.endswith(".py") or not tree.entries[path].is_file:
                continue
            folder, name = posixpath.split(path)
            cached = f"{folder}/__pycache__/{name.removesuffix('.py')}.{TAG}.pyc"
            if cached not in tree.entries and _compiles(tree.read(path)):
                yield f"/{path}: no byte code"


def _compiles(source: bytes) -> bool:
    """Tell a module from a template or a test of syntax errors, which has no byte code anywhere."""
    try:
        compile(source, "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
