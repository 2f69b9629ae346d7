"""The merged tree: layers over layers, whiteouts, links, and contents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from builders.errors import ArchiveError
from builders.formats import layout, tree
from builders.formats.layer import TAR, TAR_GZIP, TAR_ZSTD
from tests.unit.images import Image, Item, directory, file, hardlink, symlink, tar


def paths(layers: Sequence[Sequence[Item]], where: Path) -> list[str]:
    written = Image(layers=[tar(items) for items in layers]).write(where / "layout")
    with tree.opened(layout.read(written)) as files:
        return [path for path in files.entries if path != "."]


def refusal(layers: Sequence[Sequence[Item]], where: Path) -> str:
    with pytest.raises(ArchiveError) as caught:
        paths(layers, where)
    return caught.value.problem


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
def test_contents_are_those_of_the_topmost_layer(media_type: str, tmp_path: Path) -> None:
    layers = [
        tar([directory("d"), file("d/a", b"old"), file("d/b", b"kept")]),
        tar([directory("d", mode=0o700), file("d/a", b"new"), hardlink("d/c", "d/a")]),
    ]
    written = Image(layers=layers, media_type=media_type).write(tmp_path / "layout")
    with tree.opened(layout.read(written), scratch=tmp_path) as files:
        assert list(files.entries) == [".", "d", "d/a", "d/b", "d/c"]
        assert [files.read(path) for path in files.files()] == [b"new", b"kept", b"new"]
        assert list(files.below("d")) == ["d/a", "d/b", "d/c"]
        assert [files.entries[path].layer for path in ("d", "d/a", "d/b")] == [1, 1, 0]
        assert files.entries["d"].member.mode == 0o700
        assert [len(members) for members in files.layers] == [3, 3]
        assert [entry.name for entry in tmp_path.iterdir()] == ["layout"]


def test_long_contents_come_in_chunks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000
    written = Image(layers=[tar([file("a", b"x"), file("b", content)])]).write(tmp_path / "layout")
    with tree.opened(layout.read(written)) as files:
        assert len(list(files.chunks("b"))) == 3
        assert files.read("b") == content
        assert files.slice("b", 255, 3) == b"\xff\x00\x01"
        assert files.slice("b", len(content) - 2, 100) == b"\xfe\xff"
        assert files.slice("b", len(content) + 5, 100) == b""


def test_a_whiteout_deletes_from_lower_layers(tmp_path: Path) -> None:
    lower = [directory("d"), file("d/a"), file("d/b"), file("e")]
    assert paths([lower, [file("d/.wh.a"), file(".wh.e")]], tmp_path) == ["d", "d/b"]


def test_a_whiteout_deletes_a_whole_directory(tmp_path: Path) -> None:
    lower = [directory("d"), directory("d/e"), file("d/e/f")]
    assert paths([lower, [file(".wh.d")]], tmp_path) == []


def test_an_opaque_directory_hides_what_lower_layers_hold(tmp_path: Path) -> None:
    lower = [directory("d"), file("d/a"), directory("d/e"), file("d/e/b")]
    upper = [directory("d"), file("d/c"), file("d/.wh..wh..opq")]
    assert paths([lower, upper], tmp_path) == ["d", "d/c"]


def test_a_whiteout_spares_its_own_layer(tmp_path: Path) -> None:
    assert paths([[file("a", b"1")], [file("a", b"2"), file(".wh.a")]], tmp_path) == ["a"]


def test_a_whiteout_of_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    assert paths([[file("a")], [file("nowhere/.wh.b")]], tmp_path) == ["a"]


def test_a_file_replaces_a_directory_and_the_reverse(tmp_path: Path) -> None:
    lower = [directory("d"), file("d/a"), file("f")]
    upper = [file("d"), directory("f"), file("f/b")]
    assert paths([lower, upper], tmp_path) == ["d", "f", "f/b"]


def test_directories_without_a_member_are_there_as_unpackers_make_them(tmp_path: Path) -> None:
    assert paths([[file("opt/x/y")]], tmp_path) == ["opt", "opt/x", "opt/x/y"]


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", ".wh..wh.aufs", ".wh.a/b"])
def test_a_whiteout_of_no_name_is_refused(name: str, tmp_path: Path) -> None:
    assert "is a whiteout of no name" in refusal([[file("a")], [file(name)]], tmp_path)


def test_writing_through_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    lower = [symlink("d", "/etc")]
    assert "'d/passwd' lies below 'd', which is a symlink" in refusal(
        [lower, [file("d/passwd")]], tmp_path
    )


def test_writing_through_a_symbolic_link_of_the_same_layer_is_refused(tmp_path: Path) -> None:
    assert "'d/passwd' lies below 'd'" in refusal(
        [[symlink("d", "/etc"), file("d/passwd")]], tmp_path
    )


def test_writing_below_a_file_is_refused(tmp_path: Path) -> None:
    assert "'f/a' lies below 'f', which is a file" in refusal([[file("f"), file("f/a")]], tmp_path)


def test_links_are_followed_inside_the_image(tmp_path: Path) -> None:
    items = [
        directory("usr"),
        directory("usr/lib"),
        file("usr/lib/libc.so.6", mode=0o755),
        file("usr/lib/plain"),
        symlink("lib", "usr/lib"),
        symlink("usr/absolute", "/lib/libc.so.6"),
        symlink("usr/above", "../../../../lib/libc.so.6"),
        symlink("usr/dangling", "nothing"),
        symlink("loop", "loop"),
    ]
    written = Image(layers=[tar(items)]).write(tmp_path / "layout")
    with tree.opened(layout.read(written)) as files:
        for path in ("lib/libc.so.6", "/lib/./libc.so.6", "usr/absolute", "usr/above"):
            assert files.resolve(path) == "usr/lib/libc.so.6", path
            assert files.is_executable(path)
        assert files.resolve("/") == "."
        assert files.resolve("lib") == "usr/lib"
        for path in ("usr/dangling", "loop", "usr/lib/plain/x", "nowhere"):
            assert files.resolve(path) is None, path
        for path in ("usr/lib", "usr/lib/plain", "nowhere", "usr/dangling"):
            assert not files.is_executable(path), path


def test_names_that_differ_in_case_are_two_files(tmp_path: Path) -> None:
    assert paths([[file("A"), file("a")]], tmp_path) == ["A", "a"]
