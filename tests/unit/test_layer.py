"""Layers: what may be in them, and each thing that may not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from builders.errors import ArchiveError
from builders.formats import layer
from builders.formats.layer import TAR, TAR_GZIP, TAR_ZSTD, Kind
from tests.unit.images import EPOCH, PACK, Item, directory, file, hardlink, item, symlink, tar


def read(archive: bytes, *, limit: int = layer.UNPACKED_LIMIT) -> tuple[layer.Member, ...]:
    return layer.read(io.BytesIO(archive), where="layer", limit=limit)


def test_members_are_listed_with_their_metadata() -> None:
    archive = tar(
        [
            directory("./"),
            directory("usr/"),
            file("usr/a", b"content", mode=0o755, uid=7, gid=8, mtime=EPOCH - 1),
            symlink("b", "usr/a"),
            hardlink("c", "usr/a"),
        ]
    )
    root, usr, a, b, c = read(archive)
    assert (root.path, root.kind) == (layer.ROOT, Kind.DIRECTORY)
    assert (usr.path, usr.kind, usr.mode) == ("usr", Kind.DIRECTORY, 0o755)
    assert (a.path, a.kind, a.mode, a.uid, a.gid) == ("usr/a", Kind.FILE, 0o755, 7, 8)
    assert (a.mtime, a.newest, a.size) == (EPOCH - 1, EPOCH - 1, 7)
    assert archive[a.offset : a.offset + a.size] == b"content"
    assert (b.kind, b.target) == (Kind.SYMLINK, "usr/a")
    assert (c.kind, c.target, c.offset, c.size) == (Kind.HARDLINK, "usr/a", a.offset, a.size)


def test_long_names_and_times_come_from_extended_headers() -> None:
    headers = {"atime": str(EPOCH + 5), "SCHILY.xattr.security.capability": "\x01"}
    name = "d/" * 120 + "é"
    (member,) = read(tar([file(name, b"x", mtime=EPOCH + 0.5, pax_headers=headers)]))
    assert member.path == name
    assert (member.mtime, member.newest) == (EPOCH + 0.5, EPOCH + 5)
    assert member.xattrs == ("security.capability",)


def test_an_empty_layer_has_no_members() -> None:
    assert read(tar([])) == ()


def sparse() -> Item:
    entry = file("sparse", b"x")
    entry.header.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000"}
    return entry


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([file("../escape")], r"'\.\./escape' .* leads upwards"),
        ([file("a/../../escape")], r"'a/\.\./\.\./escape' .* leads upwards"),
        ([file("/etc/passwd")], r"absolute name '/etc/passwd'"),
        ([file("a\nb")], r"'a\\nb' has a name that is not printable"),
        ([file("a\x1b[2Jb")], "not printable"),
        ([file("a"), file("a")], "'a' is there twice"),
        ([file("a"), file("./a")], "'./a' is there twice"),
        ([hardlink("a", "/etc/shadow")], "absolute name '/etc/shadow'"),
        ([hardlink("a", "../etc/shadow")], "leads upwards"),
        ([hardlink("a", "etc/shadow")], "hard link to 'etc/shadow', which is no file before it"),
        ([directory("d"), hardlink("a", "d")], "hard link to 'd'"),
        ([symlink("a", "")], "link to ''"),
        ([symlink("a", "b\nc")], "link to"),
        ([Item(item("dev", tarfile.CHRTYPE, mode=0o666))], "'dev' is a device"),
        ([Item(item("disk", tarfile.BLKTYPE, mode=0o666))], "'disk' is a device"),
        ([Item(item("pipe", tarfile.FIFOTYPE, mode=0o666))], "'pipe' is a pipe"),
        ([Item(item("odd", b"Z", mode=0o644))], "'odd' is of the unknown type b'Z'"),
        ([sparse()], "'sparse' is a sparse file"),
        ([Item(item(".", tarfile.SYMTYPE, mode=0o777, linkname="x"))], "the root a symlink"),
        ([file("a", pax_headers={"ctime": "nan"})], "a time that is no number"),
        ([file("a", pax_headers={"ctime": "soon"})], "a time that is no number"),
        ([file("a", pax_headers={"comment": "x" * 2**17})], "header of .* bytes"),
    ],
)
def test_hostile_members_are_refused_by_name(items: list[Item], problem: str) -> None:
    with pytest.raises(ArchiveError, match=problem):
        read(tar([file("innocent", b"x"), *items]))


def test_a_member_beyond_the_limit_is_refused_by_name() -> None:
    archive = tar([file("small", b"x"), file("bomb", bytes(10_000))])
    assert len(read(archive, limit=20_000)) == 2
    with pytest.raises(ArchiveError, match="'bomb' passes the limit of 5000"):
        read(archive, limit=5_000)


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "_MOST_MEMBERS", 2)
    with pytest.raises(ArchiveError, match="'c' is more than"):
        read(tar([file("a"), file("b"), file("c")]))


def test_a_global_header_is_refused() -> None:
    archive = io.BytesIO()
    with tarfile.open(
        fileobj=archive, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "elsewhere"}
    ) as writer:
        writer.addfile(file("a").header)
    with pytest.raises(ArchiveError, match="follows a global header"):
        read(archive.getvalue())


def test_a_negative_size_is_refused() -> None:
    header = bytearray(file("a").header.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"  # base 256: -512, back to this very header
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    with pytest.raises(ArchiveError, match=r"'a' is a file of -512 bytes"):
        read(bytes(header) + bytes(1024))


def test_members_after_the_end_are_refused() -> None:
    with pytest.raises(ArchiveError, match="something after its end"):
        read(tar([file("a", b"x")]) + tar([file("hidden", b"y")]))


def test_members_after_a_damaged_header_are_refused() -> None:
    damaged = bytearray(tar([file("a", b"x"), file("b", b"y")]))
    damaged[1024] ^= 0xFF
    with pytest.raises(ArchiveError, match="something after its end"):
        read(bytes(damaged))


def test_a_cut_off_archive_is_refused() -> None:
    with pytest.raises(ArchiveError, match="'big' is cut off"):
        read(tar([file("big", bytes(5000))])[:3000])


def test_what_is_no_archive_is_refused() -> None:
    with pytest.raises(ArchiveError, match="not a well-formed tar archive"):
        read(b"no tar archive" * 100)


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
def test_layers_unpack_from_each_compression(media_type: str, tmp_path: Path) -> None:
    archive = tar([file("a", bytes(3 * 2**20))])
    blob = tmp_path / "blob"
    blob.write_bytes(PACK[media_type](archive))
    assert b"".join(layer.unpacked(blob, media_type)) == archive


@pytest.mark.parametrize("media_type", [TAR_GZIP, TAR_ZSTD])
def test_concatenated_frames_are_one_archive(media_type: str, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(PACK[media_type](b"first, ") + PACK[media_type](b"second"))
    assert b"".join(layer.unpacked(blob, media_type)) == b"first, second"


@pytest.mark.parametrize("media_type", [TAR_GZIP, TAR_ZSTD])
def test_what_does_not_decompress_is_refused(media_type: str, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"not compressed at all")
    with pytest.raises(ArchiveError, match="does not decompress"):
        list(layer.unpacked(blob, media_type))


def test_a_cut_off_gzip_is_refused(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(PACK[TAR_GZIP](tar([file("a", b"x")]))[:-10])
    with pytest.raises(ArchiveError, match="does not decompress"):
        list(layer.unpacked(blob, TAR_GZIP))
