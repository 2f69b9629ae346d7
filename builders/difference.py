"""Where two images differ: layer, path, and what differs. They are read, never run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import BinaryIO

from builders.formats import layer as layers
from builders.formats.layer import CHUNK, Kind, Member
from builders.formats.layout import Layer, Layout, blob_path
from builders.formats.tree import unpacked_layer


class What(StrEnum):
    """What differs."""

    CONTENT = "content"
    KIND = "kind"
    MODE = "mode"
    OWNER = "owner"
    TIME = "time"
    TARGET = "target of the link"
    ATTRIBUTES = "extended attributes"
    MISSING = "missing"
    EXTRA = "extra"
    ORDER = "order of the members"
    HEADER = "headers that nothing else here describes"
    COMPRESSION = "compression"
    VALUE = "value"
    SPELLING = "spelling of the JSON"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing in which a rebuilt image differs from the kept one.

    Attributes:
        place: The layer with its instruction, `configuration` or `manifest`.
        path: In the image, `/` the root; in a document, its keys joined by dots; or empty.
        kept: How it is in the image that was kept; may be empty.
        rebuilt: How it is in the image that was rebuilt; may be empty.
    """

    place: str
    path: str
    what: What
    kept: str = ""
    rebuilt: str = ""

    def __str__(self) -> str:
        figures = f": {self.kept or 'nothing'} -> {self.rebuilt or 'nothing'}"
        return ": ".join(filter(None, (self.place, self.path, self.what))) + (
            figures if self.kept or self.rebuilt else ""
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What distinguishes a rebuilt image from the kept one.

    Attributes:
        kept: `sha256:…` of the kept image's manifest.
        rebuilt: That of the rebuilt one.
        findings: None where the digests are equal, at least one where they are not.
        differing_bytes: Size of the rebuilt image's manifest, configuration and layers, as far as
            the kept image does not have them.
    """

    kept: str
    rebuilt: str
    findings: tuple[Finding, ...]
    differing_bytes: int

    @property
    def identical(self) -> bool:
        """Whether it is the same image, bit for bit."""
        return self.kept == self.rebuilt


def compare(kept: Layout, rebuilt: Layout) -> Difference:
    """Say in what a rebuilt image differs from the kept one.

    Args:
        kept: An image, as `layout.read` verified it: its digests stand for its bytes.
        rebuilt: Another.

    Raises:
        ArchiveError: A layer that differs holds what no layer may.
    """
    return Difference(
        kept=kept.manifest_digest,
        rebuilt=rebuilt.manifest_digest,
        findings=(
            *_layers(kept, rebuilt),
            *_documents(kept, rebuilt),
        ),
        differing_bytes=sum(
            blob_path(rebuilt.directory, digest).stat().st_size
            for digest in sorted(_blobs(rebuilt) - _blobs(kept))
        ),
    )


def _blobs(layout: Layout) -> set[str]:
    return {
        layout.manifest_digest,
        layout.config_digest,
        *(layer.digest for layer in layout.layers),
    }


def _layers(kept: Layout, rebuilt: Layout) -> Iterator[Finding]:
    """Pair layers by their position: images of one recipe have as many."""
    for index, (old, new) in enumerate(zip_longest(kept.layers, rebuilt.layers)):
        if new is None:
            yield Finding(place=_place(index, old), path="", what=What.MISSING)
        elif old is None:
            yield Finding(place=_place(index, new), path="", what=What.EXTRA)
        elif old.diff_id != new.diff_id:
            yield from _members((kept, old), (rebuilt, new), _place(index, new))
        elif old.digest != new.digest:
            yield Finding(
                place=_place(index, new),
                path="",
                what=What.COMPRESSION,
                kept=f"{old.media_type}, {old.size} bytes",
                rebuilt=f"{new.media_type}, {new.size} bytes",
            )


def _place(index: int, layer: Layer) -> str:
    return f"layer {index} ({' '.join(layer.created_by.split())})"


def _members(
    kept: tuple[Layout, Layer], rebuilt: tuple[Layout, Layer], place: str
) -> list[Finding]:
    """Compare what two layers hold."""
    with unpacked_layer(*kept) as old_file, unpacked_layer(*rebuilt) as new_file:
        old = {m.path: m for m in layers.read(old_file, where=f"layer {kept[1].digest}")}
        new = {m.path: m for m in layers.read(new_file, where=f"layer {rebuilt[1].digest}")}
        findings = [
            Finding(place=place, path=_shown(path), what=what, kept=was, rebuilt=is_now)
            for path in sorted({*old, *new})
            for what, was, is_now in _member((old_file, old.get(path)), (new_file, new.get(path)))
        ]
    if findings:
        return findings
    # The same members, and yet other bytes.
    for was, is_now in zip(old, new, strict=True):
        if was != is_now:
            return [
                Finding(
                    place=place,
                    path="",
                    what=What.ORDER,
                    kept=_shown(was),
                    rebuilt=_shown(is_now),
                )
            ]
    return [Finding(place=place, path="", what=What.HEADER)]


def _shown(path: str) -> str:
    return "/" if path == layers.ROOT else f"/{path}"


def _member(
    kept: tuple[BinaryIO, Member | None], rebuilt: tuple[BinaryIO, Member | None]
) -> Iterator[tuple[What, str, str]]:
    """Yield in what two members of one path differ, and how each of them is."""
    old, new = kept[1], rebuilt[1]
    if new is None or old is None:
        yield (What.MISSING if new is None else What.EXTRA), "", ""
        return
    if old.kind != new.kind:
        yield What.KIND, old.kind, new.kind
        return
    for what, was, is_now in (
        (What.MODE, f"{old.mode:04o}", f"{new.mode:04o}"),
        (What.OWNER, f"{old.uid}:{old.gid}", f"{new.uid}:{new.gid}"),
        (What.TIME, _times(old), _times(new)),
        (What.TARGET, old.target, new.target),
        (What.ATTRIBUTES, ", ".join(old.xattrs), ", ".join(new.xattrs)),
    ):
        if was != is_now:
            yield what, was, is_now
    if old.kind is Kind.FILE:
        begin = _first_difference((kept[0], old), (rebuilt[0], new))
        if begin is not None:
            yield What.CONTENT, f"{old.size} bytes", f"{new.size} bytes, others from {begin} on"


def _times(member: Member) -> str:
    """Return the time of modification, and the latest one where that is another."""
    times = dict.fromkeys((float(member.mtime), float(member.newest)))
    return ", newest ".join(str(time) for time in times)


def _first_difference(
    kept: tuple[BinaryIO, Member], rebuilt: tuple[BinaryIO, Member]
) -> int | None:
    """Return the offset of the first byte that two files do not share; None if they are equal."""
    begin = 0
    for old, new in zip_longest(_chunks(*kept), _chunks(*rebuilt), fillvalue=b""):
        if old != new:
            same = zip(old, new, strict=False)
            return begin + next(
                (i for i, (a, b) in enumerate(same) if a != b), min(len(old), len(new))
            )
        begin += len(old)
    return None


def _chunks(file: BinaryIO, member: Member) -> Iterator[bytes]:
    end = member.offset + member.size
    for begin in range(member.offset, end, CHUNK):
        file.seek(begin)
        yield file.read(min(CHUNK, end - begin))


def _documents(kept: Layout, rebuilt: Layout) -> Iterator[Finding]:
    """Compare configuration and manifest, without what only repeats that layers differ."""
    same_layers = [la.diff_id for la in kept.layers] == [la.diff_id for la in rebuilt.layers]
    same_blobs = _blobs(kept) - {kept.manifest_digest} == _blobs(rebuilt) - {
        rebuilt.manifest_digest
    }
    for place, old, new, repeated, explained in (
        ("configuration", kept.config_digest, rebuilt.config_digest, ("rootfs",), not same_layers),
        (
            "manifest",
            kept.manifest_digest,
            rebuilt.manifest_digest,
            ("config", "layers"),
            not same_blobs,
        ),
    ):
        if old == new:
            continue
        findings = [
            Finding(place=place, path=path, what=What.VALUE, kept=was, rebuilt=is_now)
            for path, was, is_now in _values(
                _document(kept, old, repeated), _document(rebuilt, new, repeated)
            )
        ]
        if not findings and not explained:
            findings.append(Finding(place=place, path="", what=What.SPELLING))
        yield from findings


def _document(layout: Layout, digest: str, left_out: Sequence[str]) -> Mapping[str, str]:
    """Return the values of a document, each as JSON by its path, without some of its parts."""
    document = json.loads(blob_path(layout.directory, digest).read_bytes())
    return dict(_flat("", {key: document[key] for key in document if key not in left_out}))


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    children: dict[str, object] = {}
    if isinstance(value, dict):
        children = value
    elif isinstance(value, list):
        children = {str(index): child for index, child in enumerate(value)}
    for name, child in children.items():
        yield from _flat(f"{path}.{name}" if path else name, child)
    if not children:
        yield path, json.dumps(value)


def _values(kept: Mapping[str, str], rebuilt: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for path in sorted({*kept, *rebuilt}):
        was, is_now = kept.get(path, ""), rebuilt.get(path, "")
        if was != is_now:
            yield path, was, is_now
