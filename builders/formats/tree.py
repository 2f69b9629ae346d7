"""The merged file tree of an image: what a container would see, read without a container.

Layers are merged as https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md says.
Contents stay where they are, in the layers, unpacked each to a temporary file without a name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from builders.errors import ArchiveError
from builders.formats import layer
from builders.formats.layer import ROOT, Kind, Member
from builders.formats.layout import Layer, Layout, blob_path

CHUNK = 4 * 2**20

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MOST_LINKS = 40  # what Linux follows before ELOOP


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What a path of the image is: the member that made it, and the index of its layer."""

    member: Member
    layer: int

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.member.kind is Kind.DIRECTORY

    @property
    def is_file(self) -> bool:
        """Whether it has content of its own (a hard link is a file like its other names)."""
        return self.member.kind in (Kind.FILE, Kind.HARDLINK)


@dataclass(frozen=True, kw_only=True)
class FileTree:
    """An image's files.

    Attributes:
        entries: What is at each path, relative to the root and without symbolic links followed; in
            the order of the paths.
        layers: The members of each layer, those included that a later layer replaces or deletes.
    """

    entries: Mapping[str, Entry]
    layers: tuple[tuple[Member, ...], ...]
    _unpacked: tuple[BinaryIO, ...]

    def files(self) -> Iterator[str]:
        """Yield the path of each file."""
        return (path for path, entry in self.entries.items() if entry.is_file)

    def below(self, directory: str) -> Iterator[str]:
        """Yield the path of everything in a directory and the directories in it."""
        prefix = f"{directory}/"
        return (path for path in self.entries if path.startswith(prefix))

    def read(self, path: str) -> bytes:
        """Return the whole content of a file."""
        return b"".join(self.chunks(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file in chunks of `CHUNK` bytes."""
        size = self.entries[path].member.size
        return (self.slice(path, begin, CHUNK) for begin in range(0, size, CHUNK))

    def slice(self, path: str, begin: int, size: int) -> bytes:
        """Return bytes of a file; fewer where it ends."""
        entry = self.entries[path]
        size = min(size, entry.member.size - begin)
        if size <= 0:
            return b""
        return os.pread(self._unpacked[entry.layer].fileno(), size, entry.member.offset + begin)

    def resolve(self, path: str) -> str | None:
        """Follow symbolic links inside the image; None if that leads to nothing."""
        todo = path.split("/")[::-1]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]  # the parent of the root is the root
                continue
            entry = self.entries.get("/".join((*done, part)))
            if entry is None or (entry.is_file and todo):
                return None
            if entry.member.kind is not Kind.SYMLINK:
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            target = entry.member.target
            if target.startswith("/"):
                done.clear()
            todo += target.split("/")[::-1]
        return "/".join(done) or ROOT

    def is_executable(self, path: str) -> bool:
        """Tell whether a path leads to a file that may be executed."""
        entry = self.entries.get(self.resolve(path) or "")
        return entry is not None and entry.is_file and bool(entry.member.mode & 0o111)


@contextmanager
def opened(layout: Layout, *, scratch: Path | None = None) -> Iterator[FileTree]:
    """Give the file tree of a layout's image; its contents can be read until the block ends.

    Args:
        layout: The image, as `layout.read` verified it.
        scratch: A directory with room for the unpacked layers; the system's for temporary files if
            None. Nothing in it gets a name.

    Raises:
        ArchiveError: A layer holds what no layer may (see `layer.read`), or the layers do not fit
            together.
    """
    with ExitStack() as stack:
        unpacked: list[BinaryIO] = []
        layers: list[tuple[Member, ...]] = []
        for blob in layout.layers:
            file = stack.enter_context(unpacked_layer(layout, blob, scratch=scratch))
            unpacked.append(file)
            layers.append(layer.read(file, where=f"layer {blob.digest}"))
        yield FileTree(entries=merge(layers), layers=tuple(layers), _unpacked=tuple(unpacked))


@contextmanager
def unpacked_layer(
    layout: Layout, blob: Layer, *, scratch: Path | None = None
) -> Iterator[BinaryIO]:
    """Give a layer's tar archive, seekable, until the block ends.

    Args:
        layout: The image.
        blob: One of its layers.
        scratch: As of `opened`.

    Raises:
        ArchiveError: The layer does not decompress.
    """
    path = blob_path(layout.directory, blob.digest)
    if blob.media_type == layer.TAR:
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile(dir=scratch) as file:
        for chunk in layer.unpacked(path, blob.media_type):
            file.write(chunk)
        file.flush()
        yield file


def merge(layers: Sequence[tuple[Member, ...]]) -> Mapping[str, Entry]:
    """Merge layers from the lowest to the topmost, whiteouts applied.

    Raises:
        ArchiveError: A member lies below what is no directory (unpackers disagree about where it
            would go), or is a whiteout of nothing that has a name.
    """
    root = _Node(entry=_directory(ROOT, 0))
    for index, members in enumerate(layers):
        for member in members:
            if _is_whiteout(member):
                _delete(root, member, index)
        for member in members:
            if not _is_whiteout(member):
                _place(root, Entry(member=member, layer=index))
    return dict(sorted(_walk(root)))


@dataclass(slots=True, kw_only=True)
class _Node:
    entry: Entry
    children: dict[str, _Node] = field(default_factory=dict)


def _is_whiteout(member: Member) -> bool:
    return _WHITEOUT in member.path and any(
        part.startswith(_WHITEOUT) for part in member.path.split("/")
    )


def _delete(root: _Node, whiteout: Member, index: int) -> None:
    """Take from the lower layers what a whiteout names."""
    folder, _, name = whiteout.path.rpartition("/")
    hidden = name.removeprefix(_WHITEOUT)
    opaque = name == _OPAQUE
    if (
        _WHITEOUT in folder
        or hidden in ("", ".", "..", name)
        or (hidden.startswith(_WHITEOUT) and not opaque)
    ):
        raise _refusal(index, whiteout, "is a whiteout of no name")
    node = root
    for part in folder.split("/") if folder else ():
        if part not in node.children:
            return
        node = node.children[part]
    if opaque:
        node.children.clear()
    else:
        node.children.pop(hidden, None)


def _place(root: _Node, entry: Entry) -> None:
    """Put an entry where its path says; a directory keeps what is in it."""
    if entry.member.path == ROOT:
        root.entry = entry
        return
    *folders, name = entry.member.path.split("/")
    node = root
    for depth, part in enumerate(folders, start=1):
        if part not in node.children:
            node.children[part] = _Node(entry=_directory("/".join(folders[:depth]), entry.layer))
        node = node.children[part]
        if node.entry.member.kind is not Kind.DIRECTORY:
            raise _refusal(
                entry.layer,
                entry.member,
                f"lies below {node.entry.member.path!r}, which is a {node.entry.member.kind}",
            )
    previous = node.children.get(name)
    kept = previous.children if previous and entry.member.kind is Kind.DIRECTORY else {}
    node.children[name] = _Node(entry=entry, children=kept)


def _directory(path: str, index: int) -> Entry:
    """Return a directory that no member describes: unpackers make it so."""
    member = Member(
        path=path,
        kind=Kind.DIRECTORY,
        mode=0o755,
        uid=0,
        gid=0,
        mtime=0,
        newest=0,
        size=0,
        offset=0,
        target="",
        xattrs=(),
    )
    return Entry(member=member, layer=index)


def _walk(node: _Node) -> Iterator[tuple[str, Entry]]:
    """Yield a node and all below it, without recursion: a hostile tree may be deep."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node.entry.member.path, node.entry
        todo += node.children.values()


def _refusal(index: int, member: Member, problem: str) -> ArchiveError:
    return ArchiveError(
        f"member {member.path!r} {problem}",
        where=f"layer {index}",
        remedy="do not use this image: build it again, and find out what made this layer",
    )
