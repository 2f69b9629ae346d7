"""What blobs unpack to is remembered; that they are what they should be is seen each time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders import unpacked_sizes
from builders.errors import LayoutError
from builders.formats import layout
from builders.formats.layer import TAR_ZSTD
from builders.store import Store
from tests.unit.images import Image, file, tar

CONTENT = [tar([file("a", b"lower")]), tar([file("b", b"upper")])]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def written(directory: Path, **changes: object) -> Path:
    return Image(layers=CONTENT, media_type=TAR_ZSTD, **changes).write(directory)  # type: ignore[arg-type]


def test_a_layout_reads_the_same_from_memory(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = written(tmp_path / "layout")
    first = unpacked_sizes.read(store, directory)
    assert first == layout.read(directory)
    # The same layers in another image are not unpacked again either.
    other = written(tmp_path / "other", run={"User": "1:1"})
    expected = layout.read(other)
    monkeypatch.setattr(layout, "unpacked", lambda *_: pytest.fail("unpacked again"))
    assert unpacked_sizes.read(store, directory) == first
    assert unpacked_sizes.read(store, other) == expected


def test_a_blob_that_was_damaged_since_is_refused(store: Store, tmp_path: Path) -> None:
    directory = written(tmp_path / "layout")
    damaged = layout.blob_path(directory, unpacked_sizes.read(store, directory).layers[0].digest)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(LayoutError, match="holds the bytes of sha256:"):
        unpacked_sizes.read(store, directory)


def test_what_is_refused_is_refused_again(store: Store, tmp_path: Path) -> None:
    """A configuration that says something else of the same blobs has nothing of their memory."""
    sound = written(tmp_path / "sound")
    unpacked_sizes.read(store, sound)
    wrong = f"sha256:{hashlib.sha256(b'else').hexdigest()}"
    right = layout.read(sound).layers[1].diff_id
    directory = written(
        tmp_path / "wrong", config={"rootfs": {"type": "layers", "diff_ids": [wrong, right]}}
    )
    for _ in range(2):
        with pytest.raises(LayoutError, match="unpacks to sha256:"):
            unpacked_sizes.read(store, directory)


def test_another_reader_unpacks_anew(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier, laxer reader let pass is no answer."""
    directory = written(tmp_path / "layout")
    unpacked_sizes.read(store, directory)
    monkeypatch.setattr(unpacked_sizes, "_code", lambda: ["another"])
    monkeypatch.setattr(layout, "unpacked", lambda *_: iter([b"else"]))
    with pytest.raises(LayoutError, match="unpacks to sha256:"):
        unpacked_sizes.read(store, directory)
