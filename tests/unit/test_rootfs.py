"""The root file system: what it is made to be, that it is the same each time, what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from builders import list_file, rootfs
from builders.errors import ArchiveError
from builders.formats import layout
from builders.rootfs import system_files
from tests.unit import debs
from tests.unit.images import EPOCH, Item, directory, file, hardlink, symlink

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"
FIRST, SECOND = (CERTIFICATE.format(name) for name in ("first", "second"))

BASE = [
    directory("./"),
    directory("./bin/"),
    directory("./tmp/", mode=0o1777),
    directory("./usr/"),
    directory("./usr/bin/"),
    file("./usr/bin/python3.11", b"\x7fELF", mode=0o755),
    file("./usr/share/zoneinfo/Etc/UTC", b"TZif"),
    file("./usr/share/ca-certificates/mozilla/B.crt", SECOND),
    file("./usr/share/ca-certificates/mozilla/A.crt", FIRST + "\n"),
]
"""What a root file system cannot be without."""


def base(directory: Path, extra: Sequence[Item] = ()) -> Path:
    return debs.deb(directory, "base", [*BASE, *extra])


def composed(
    paths: Sequence[Path], *, prune: Sequence[str] = (), architecture: str = "amd64"
) -> bytes:
    out = io.BytesIO()
    rootfs.compose(paths, architecture=architecture, prune=prune, epoch=EPOCH, out=out)
    return out.getvalue()


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as reader:
        return {member.name: member for member in reader}


def content(archive: bytes, path: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(archive)) as reader:
        extracted = reader.extractfile(path)
        assert extracted is not None
        return extracted.read().decode()


def test_packages_become_one_tree(tmp_path: Path) -> None:
    other = debs.deb(
        tmp_path, "libx", [file("./usr/lib/libx.so.1", b"x" * 1000)], architecture="all"
    )
    archive = composed([base(tmp_path), other])

    assert content(archive, "usr/lib/libx.so.1") == "x" * 1000
    assert content(archive, "usr/bin/python3.11") == "\x7fELF"


def test_modes_owners_and_times_are_normal(tmp_path: Path) -> None:
    path = base(
        tmp_path,
        [
            file("./usr/bin/su", b"su", mode=0o6755, uid=1, gid=2, uname="me", mtime=EPOCH + 99),
            file("./var/shared", mode=0o666, mtime=1),
            file("./etc/secret", mode=0o600, pax_headers={"SCHILY.xattr.security.capability": "x"}),
            directory("./var/local", mode=0o2775),
        ],
    )
    found = members(composed([path]))

    assert {member.mtime for member in found.values()} == {EPOCH}
    assert {(m.uid, m.gid, m.uname, m.gname) for m in found.values()} == {(0, 0, "", "")}
    assert all(not member.pax_headers for member in found.values())
    modes = {name: member.mode for name, member in found.items()}
    assert (modes["usr/bin/su"], modes["var/shared"], modes["etc/secret"]) == (0o755, 0o644, 0o644)
    assert (modes["tmp"], modes["var/local"], modes["bin"]) == (0o755, 0o755, 0o777)


def test_the_members_are_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = list(members(composed([base(tmp_path, [file("./usr/a-b"), file("./usr/a/b")])])))

    assert names == sorted(names)
    assert names.index("usr/a") < names.index("usr/a-b") < names.index("usr/a/b")


def test_hard_links_become_files(tmp_path: Path) -> None:
    archive = composed([base(tmp_path, [file("./etc/a", "a"), hardlink("./etc/b", "./etc/a")])])

    assert members(archive)["etc/b"].isreg()
    assert content(archive, "etc/b") == "a"


def test_usr_is_merged(tmp_path: Path) -> None:
    path = base(
        tmp_path,
        [
            directory("./lib"),
            file("./lib/x86_64-linux-gnu/libc.so.6", "libc"),
            symlink("./lib64/ld.so", "/lib/x86_64-linux-gnu/libc.so.6"),
            file("./usr/lib/x86_64-linux-gnu/libx.so", "libx"),
        ],
    )
    archive = composed([path])
    found = members(archive)

    assert {name: found[name].linkname for name in ("bin", "lib", "lib64")} == {
        "bin": "usr/bin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
    }
    assert content(archive, "usr/lib/x86_64-linux-gnu/libc.so.6") == "libc"
    assert content(archive, "usr/lib/x86_64-linux-gnu/libx.so") == "libx"
    assert found["usr/lib64/ld.so"].linkname == "/lib/x86_64-linux-gnu/libc.so.6"
    assert "sbin" not in found  # nothing is there


def test_what_maintainer_scripts_would_have_made_is_there(tmp_path: Path) -> None:
    archive = composed([base(tmp_path)], prune=["usr/share/ca-certificates/*"])
    found = members(archive)

    assert "equivec:x:65532:65532:" in content(archive, "etc/passwd")
    assert content(archive, "etc/passwd").startswith("root:x:0:0:")
    assert "equivec:x:65532:" in content(archive, "etc/group")
    assert "hosts: files dns\n" in content(archive, "etc/nsswitch.conf")
    assert content(archive, "etc/timezone") == "Etc/UTC\n"
    assert content(archive, "etc/ssl/certs/ca-certificates.crt") == f"{FIRST}\n{SECOND}\n"
    assert content(archive, "var/lib/dpkg/status.d/base") == (
        "Package: base\nVersion: 1:2.3-4\nArchitecture: amd64\n"
    )
    assert {path: found[path].linkname for path in system_files.LINKS} == system_files.LINKS
    assert not any(path.startswith("usr/share/ca-certificates") for path in found)


def test_what_the_prune_list_names_is_left_out(tmp_path: Path) -> None:
    path = base(
        tmp_path,
        [
            file("./usr/share/man/man1/x.1"),
            file("./usr/share/doc/x/copyright"),
            file("./usr/share/doc/x/changelog.gz"),
            directory("./boot"),
            directory("./proc"),
            directory("./srv"),
            file("./srv/kept"),
        ],
    )
    prune = ["usr/share/man/*", "usr/share/doc/*/[!c]*", "usr/share/doc/*/c[!o]*", "boot", "srv"]
    found = members(composed([path], prune=prune))

    assert "usr/share/man" not in found  # nothing remained in it
    assert "usr/share/doc/x/copyright" in found
    assert "usr/share/doc/x/changelog.gz" not in found
    assert "boot" not in found
    assert "proc" in found  # was empty, and no pattern names it
    assert {"srv", "srv/kept"} <= set(found)  # a pattern for a directory does not empty it


def test_the_same_packages_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [
        base(tmp_path),
        debs.deb(tmp_path, "liba", [file("./etc/a", "a"), file("./etc/" + "ő" * 80, "long")]),
        debs.deb(tmp_path, "libb", [file("./etc/b", "b"), symlink("./etc/c", "b")]),
    ]
    archive = composed(paths)

    assert composed(paths[::-1]) == archive
    # Python's tarfile writes it: another version of Python must not make another image.
    assert hashlib.sha256(archive).hexdigest() == (
        "53e051e3b4e1e3da759e47dae1800d3252b72fa5d473fed40b05a524284c1f77"
    )


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([file("./usr/bin/python3.11")], "libx: holds 'usr/bin/python3.11', which base holds too"),
        ([file("./bin/python3.11")], "libx: holds 'usr/bin/python3.11', which base holds too"),
        ([symlink("./usr/bin", "bin")], "holds 'usr/bin', which base holds too"),
        ([file("./etc/passwd")], "equivec: holds 'etc/passwd', which libx holds too"),
        ([symlink("./etc/ssl", "/usr")], "'etc/ssl/certs' below what libx has as a symlink"),
        ([file("./usr/share/zoneinfo/Etc/UTC/x")], "below what base has as a file"),
        ([symlink("./etc/x", "../../etc/passwd")], "'etc/x' is a link to '../../etc/passwd'"),
        ([symlink("./etc/x", "/../etc/passwd")], "is a link to '/../etc/passwd': nothing"),
        ([symlink("./etc/x", "/proc/self/root")], "is a link to '/proc/self/root': nothing"),
        ([symlink("./etc/x", "passwd/x")], "is a link to 'passwd/x': nothing"),
        ([symlink("./etc/x", "y"), symlink("./etc/y", "x")], "'etc/x' is a link to 'y': nothing"),
        ([file("./etc/.wh.passwd")], "'etc/.wh.passwd' would delete files"),
        ([file("./etc/.wh..wh..opq")], "would delete files"),
    ],
)
def test_packages_that_do_not_fit_together_are_refused(
    tmp_path: Path, items: Sequence[Item], problem: str
) -> None:
    with pytest.raises(ArchiveError, match=problem):
        composed([base(tmp_path), debs.deb(tmp_path, "libx", items)])


def test_links_may_be_absolute_and_lead_through_links(tmp_path: Path) -> None:
    links = [symlink("./etc/x", "/bin/../bin/python3"), symlink("./etc/y", "../etc/./x")]
    found = members(composed([base(tmp_path, links)]))

    assert found["etc/x"].linkname == "/bin/../bin/python3"


def test_directories_may_be_in_several_packages(tmp_path: Path) -> None:
    assert composed([base(tmp_path), debs.deb(tmp_path, "libx", [directory("./usr/bin")])])


def test_a_package_of_another_machine_is_refused(tmp_path: Path) -> None:
    other = debs.deb(tmp_path, "libx", [], architecture="arm64")

    with pytest.raises(ArchiveError, match="libx: is for arm64, not amd64"):
        composed([base(tmp_path), other])


def test_a_package_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="base: is there twice"):
        composed([base(tmp_path), base(tmp_path)])


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        ("usr/bin/python3.11", "'usr/bin/python3' is a link to 'python3.11': nothing in the root"),
        ("usr/share/zoneinfo/Etc/UTC", "'etc/localtime' is a link"),
    ],
)
def test_a_root_without_a_vital_part_is_refused(tmp_path: Path, missing: str, problem: str) -> None:
    with pytest.raises(ArchiveError, match=problem):
        composed([base(tmp_path)], prune=[missing])


def test_certificates_must_be_there_and_in_pem_form() -> None:
    with pytest.raises(ArchiveError, match="hold no certificates"):
        system_files.bundle([])
    with pytest.raises(ArchiveError, match="not in PEM form"):
        system_files.bundle([FIRST.encode(), b"\x30\x82"])


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_layout_is_one_that_the_builder_takes(tmp_path: Path, architecture: str) -> None:
    path = debs.deb(tmp_path, "base", BASE, architecture=architecture)
    platform = f"linux/{architecture}"

    digest = rootfs.write_base_layout(
        [path], platform=platform, prune=[], epoch=EPOCH, directory=tmp_path / "layout"
    )

    written = layout.read(tmp_path / "layout")
    assert written.manifest_digest == digest
    assert written.platform == platform
    (only,) = written.layers
    archive = composed([path], architecture=architecture)
    assert only.diff_id == only.digest == f"sha256:{hashlib.sha256(archive).hexdigest()}"
    config = json.loads((tmp_path / "layout/blobs/sha256" / written.config_digest[7:]).read_bytes())
    assert config["created"] == "2024-01-01T00:00:00Z"
    assert "LANG=C.UTF-8" in config["config"]["Env"]
    (described,) = json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]
    assert described["platform"] == {"architecture": architecture, "os": "linux"}
    assert described["annotations"] == {
        "org.opencontainers.image.ref.name": f"linux-{architecture}"
    }


def test_a_layout_depends_on_nothing_but_its_inputs(tmp_path: Path) -> None:
    path = base(tmp_path)
    first, second = (
        rootfs.write_base_layout(
            [path], platform="linux/amd64", prune=[], epoch=EPOCH, directory=tmp_path / name
        )
        for name in ("first", "second")
    )

    assert first == second
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_the_committed_prune_list_keeps_python_and_the_licences(tmp_path: Path) -> None:
    prune = list_file.read(Path(__file__).parents[2] / "images" / "base" / "prune.txt")
    path = base(
        tmp_path,
        [
            file("./bin/bash", mode=0o755),
            file("./sbin/ldconfig", mode=0o755),
            file("./usr/bin/perl", mode=0o755),
            file("./usr/share/doc/x/copyright"),
            file("./usr/share/doc/x/README"),
            file("./usr/share/doc/x/changelog.Debian.gz"),
        ],
    )
    found = members(composed([path], prune=prune))

    assert {name for name in found if name.startswith("usr/bin/")} == {
        "usr/bin/python3",
        "usr/bin/python3.11",
    }
    assert "usr/sbin" not in found
    assert {name for name in found if name.startswith("usr/share/doc/x/")} == {
        "usr/share/doc/x/copyright"
    }
