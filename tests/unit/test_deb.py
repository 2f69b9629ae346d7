"""Debian packages: what is read of them, and everything that is refused."""

from __future__ import annotations

import lzma
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from builders.errors import ArchiveError
from builders.formats import deb
from builders.formats.layer import CHUNK, Kind
from tests.unit import debs
from tests.unit.images import Item, directory, file, hardlink, item, symlink, tar

CONTROL = tar([file("./control", "Package: x\nVersion: 1\nArchitecture: all\n")])
DATA = tar([file("./usr/x", b"content")])


def parts(
    *, version: bytes = b"2.0\n", control: bytes = CONTROL, data: bytes = DATA
) -> list[tuple[str, bytes]]:
    return [("debian-binary", version), ("control.tar", control), ("data.tar", data)]


@pytest.mark.parametrize("compression", debs.COMPRESS)
def test_a_package_is_read_in_each_compression(tmp_path: Path, compression: str) -> None:
    content = bytes(range(256)) * 5000  # more than one chunk
    items = [
        directory("./"),
        directory("./usr/"),
        file("./usr/a", content, mode=0o4755),
        hardlink("./usr/b", "./usr/a"),
        symlink("./usr/c", "a"),
    ]
    path = debs.deb(tmp_path, "libx", items, architecture="arm64", compression=compression)

    with deb.opened(path) as package:
        assert (package.name, package.architecture) == ("libx", "arm64")
        assert package.control == "Package: libx\nVersion: 1:2.3-4\nArchitecture: arm64\n"
        assert [(member.path, member.kind) for member in package.members] == [
            (".", Kind.DIRECTORY),
            ("usr", Kind.DIRECTORY),
            ("usr/a", Kind.FILE),
            ("usr/b", Kind.HARDLINK),
            ("usr/c", Kind.SYMLINK),
        ]
        assert package.read(package.members[2]) == content
        assert package.read(package.members[3]) == content
        assert max(len(chunk) for chunk in package.chunks(package.members[2])) == CHUNK


def test_one_file_is_extracted(tmp_path: Path) -> None:
    path = debs.deb(tmp_path, "busybox", [directory("./bin"), file("./bin/busybox", b"\x7fELF")])

    assert deb.extract(path, "bin/busybox") == b"\x7fELF"
    with pytest.raises(ArchiveError, match="busybox: holds no file 'bin/sh'"):
        deb.extract(path, "bin/sh")
    with pytest.raises(ArchiveError, match="no file 'bin'"):
        deb.extract(path, "bin")


def test_members_whose_name_begins_with_an_underscore_are_passed_over(tmp_path: Path) -> None:
    path = debs.write(tmp_path / "x.deb", [*parts()[:1], ("_gpg", b"odd"), *parts()[1:]])

    assert deb.extract(path, "usr/x") == b"content"


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb to compare with")
def test_what_dpkg_writes_is_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: real\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.invalid>\n"
        "Description: for a test\n"
    )
    (tree / "etc").mkdir()
    (tree / "etc" / "real").write_text("yes")
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, tmp_path / "real.deb"],
        check=True,
        capture_output=True,
    )

    assert deb.extract(tmp_path / "real.deb", "etc/real") == b"yes"


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([file("/etc/passwd")], "absolute name '/etc/passwd'"),
        ([file("./../escape")], "leads upwards"),
        ([hardlink("./a", "../etc/shadow")], "leads upwards"),
        ([hardlink("./a", "/etc/shadow")], "absolute name '/etc/shadow'"),
        ([hardlink("./a", "./etc/shadow")], "hard link to 'etc/shadow', which is no file before"),
        ([Item(item("./dev/sda", tarfile.BLKTYPE, mode=0o600))], "'./dev/sda' is a device"),
        ([Item(item("./dev/tty", tarfile.CHRTYPE, mode=0o600))], "'./dev/tty' is a device"),
        ([Item(item("./pipe", tarfile.FIFOTYPE, mode=0o600))], "'./pipe' is a pipe"),
        ([file("./a"), file("a")], "'a' is there twice"),
        ([file("./a\nb")], "not printable"),
    ],
)
def test_hostile_members_are_refused_by_name(
    tmp_path: Path, items: Sequence[Item], problem: str
) -> None:
    path = debs.deb(tmp_path, "evil", items)

    with pytest.raises(ArchiveError, match=problem) as caught, deb.opened(path):
        pass

    assert caught.value.where == "evil"
    assert "renew the lock" in caught.value.remedy


@pytest.mark.parametrize("compression", debs.COMPRESS)
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, compression: str) -> None:
    path = debs.deb(tmp_path, "bomb", [file("./zeros", bytes(2**20))], compression=compression)

    with (
        pytest.raises(ArchiveError, match=rf"data\.tar{compression} passes the limit of 65536"),
        deb.opened(path, limit=2**16),
    ):
        pass


def test_the_control_archive_has_a_limit_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deb, "_CONTROL_LIMIT", 1000)
    path = debs.deb(tmp_path, "bomb", [])

    with pytest.raises(ArchiveError, match=r"control\.tar\.xz passes the limit"), deb.opened(path):
        pass


def test_a_dictionary_of_gigabytes_is_refused(tmp_path: Path) -> None:
    # The encoder would allocate what it announces, so the stream's header is altered afterwards.
    packed = bytearray(lzma.compress(DATA))
    header = packed[12 : 12 + 4 * (packed[12] + 1)]
    at = header.index(b"\x21\x01") + 2  # after the filter's number and the size of its settings
    header[at] = 34  # a dictionary of 2^29 bytes
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    packed[12 : 12 + len(header)] = header
    path = debs.write(tmp_path / "x.deb", [*parts()[:2], ("data.tar.xz", bytes(packed))])

    with pytest.raises(ArchiveError, match="Memory usage limit exceeded"), deb.opened(path):
        pass


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        (parts()[:2], "holds debian-binary, control.tar instead of"),
        ([parts()[0], parts()[2], parts()[1]], "instead of debian-binary, control.tar, data.tar"),
        ([*parts(), ("data.tar", DATA)], "instead of"),
        ([], "holds nothing instead of"),
        (parts(version=b"3.0\n"), r"of the format b'3\.0\\n', not 2\.x"),
        ([*parts()[:2], ("data.tar.lz4", DATA)], "data.tar.lz4 is compressed in a way"),
        ([*parts()[:2], ("data.tar.xz", DATA)], "data.tar.xz does not decompress"),
        ([*parts()[:2], ("data.tar.gz", DATA)], "data.tar.gz does not decompress"),
        ([*parts()[:2], ("data.tar.zst", DATA)], "data.tar.zst does not decompress"),
        ([*parts()[:2], ("data.tar.xz", lzma.compress(DATA)[:-9])], "cut off"),
        ([*parts()[:2], ("data.tar.xz", lzma.compress(DATA) + b"more")], "something follows"),
        (parts(data=b"no tar archive" * 100), "not a well-formed tar archive"),
        (parts(control=tar([file("./md5sums")])), "has no control file"),
        (parts(control=tar([file("./control", "Package: x\n")])), "no plain field Architecture"),
        (parts(control=tar([file("./control", "Package: ../x\n")])), "no plain field Package"),
        (
            parts(control=tar([file("./control", "Package: x\nPackage: y\n")])),
            "no plain field Package",
        ),
    ],
)
def test_malformed_packages_are_refused(
    tmp_path: Path, members: Sequence[tuple[str, bytes]], problem: str
) -> None:
    path = debs.write(tmp_path / "x.deb", members)

    with pytest.raises(ArchiveError, match=problem), deb.opened(path):
        pass


@pytest.mark.parametrize(
    ("alter", "problem"),
    [
        (lambda content: b"<!doctype html>" + content, "does not begin as an ar archive"),
        (lambda content: content[:-100], r"is cut off: it ends before the end of data\.tar"),
        (lambda content: content[:40], "malformed ar header at byte 8"),
        (lambda content: content.replace(b"`\n", b"'\n", 1), "malformed ar header at byte 8"),
        (lambda content: content + b"rest", "malformed ar header"),
    ],
)
def test_altered_packages_are_refused(tmp_path: Path, alter: object, problem: str) -> None:
    path = debs.write(tmp_path / "x.deb", parts())
    assert callable(alter)
    path.write_bytes(alter(path.read_bytes()))

    with pytest.raises(ArchiveError, match=problem), deb.opened(path):
        pass
