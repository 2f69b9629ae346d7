"""What an image must not hold: tools, traces, privileges, late times."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.audit.hygiene import times
from builders.formats import layout, tree
from builders.paths import SITE
from tests.unit.images import CREATED, EPOCH, Image, Item, directory, file, symlink, tar
from tests.unit.sound_image import SoundImage

BUILDER = "/home/builder/.cache/equivec"


@pytest.mark.parametrize("path", ["usr/local/bin/uvicorn", "usr/local/sbin/x"])
def test_a_script_fails(path: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(directory("usr/local/bin"), file(path, b"#!/usr/bin/python3\n", mode=0o755))
    assert image.failures(tmp_path) == {"no-scripts": (f"/{path}",)}


def test_a_script_of_an_installer_fails(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(f"{SITE}/bin/uvicorn", b"#!/usr/bin/python3\n", mode=0o755))
    assert set(image.failures(tmp_path)) == {"no-scripts", "wheel-record"}


@pytest.mark.parametrize(
    "item",
    [
        file("etc/trace", f"first\nprefix={BUILDER}/store\n"),
        file("etc/trace", bytes(tree.CHUNK - 5) + BUILDER.encode()),
        symlink("etc/trace", f"{BUILDER}/python"),
    ],
)
def test_a_path_of_the_builder_fails(item: Item, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(item)
    assert image.failures(tmp_path) == {"no-builder-paths": (f"/etc/trace: mentions {BUILDER}",)}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("usr/bin/sh", "a shell"),
        ("usr/bin/dash", "a shell"),
        ("opt/tools/busybox", "a shell"),
        ("usr/bin/apt-get", "a package manager"),
        ("usr/bin/dpkg", "a package manager"),
        ("usr/bin/pip3.11", "a package manager"),
        ("usr/bin/gcc-12", "a compiler"),
        ("usr/bin/aarch64-linux-gnu-g++-12", "a compiler"),
        ("usr/bin/x86_64-linux-gnu-ld.bfd", "a compiler"),
    ],
)
def test_a_tool_fails(path: str, kind: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(path, b"x", mode=0o755))
    assert image.failures(tmp_path) == {"no-tools": (f"/{path}: {kind}",)}


def test_a_link_to_a_tool_is_one(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file("usr/bin/multi", b"x", mode=0o755), symlink("usr/bin/sh", "multi"))
    assert image.failures(tmp_path) == {"no-tools": ("/usr/bin/sh: a shell",)}


@pytest.mark.parametrize("name", ["pip", "ensurepip"])
def test_an_installer_package_fails(name: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file(f"usr/lib/python3/{name}/__init__.py"))
    assert image.failures(tmp_path) == {
        "no-tools": (f"/usr/lib/python3/{name}/__init__.py: a package manager",)
    }


@pytest.mark.parametrize(
    "item",
    [
        file("usr/share/bash", b"x"),  # not executable
        directory("usr/share/gcc"),
        file("usr/bin/ld.so", b"x", mode=0o755),
        file("usr/bin/publish", b"x", mode=0o755),
    ],
)
def test_what_is_only_called_like_a_tool_passes(item: Item, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(item)
    assert image.failures(tmp_path) == {}


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (file("usr/bin/su", mode=0o4755), "setuid or setgid (4755)"),
        (file("usr/bin/wall", mode=0o2755), "setuid or setgid (2755)"),
        (directory("var/mail", mode=0o2755), "setuid or setgid (2755)"),
        (file("etc/open", mode=0o666), "writable by everyone (0666)"),
        (directory("var/open", mode=0o777), "writable by everyone (0777)"),
        (file("etc/sticky", mode=0o1666), "writable by everyone (1666)"),
        (
            file("usr/bin/ping", pax_headers={"SCHILY.xattr.security.capability": "x"}),
            "has file capabilities",
        ),
    ],
)
def test_a_privilege_fails(item: Item, problem: str, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(item)
    assert image.failures(tmp_path) == {"no-privileges": (f"/{item.header.name}: {problem}",)}


@pytest.mark.parametrize(
    "item",
    [
        file("etc/late", mtime=EPOCH + 1),
        file("etc/late", mtime=EPOCH + 0.5),
        directory("etc/late", mtime=EPOCH + 1),
        symlink("etc/late", "/tmp", mtime=EPOCH + 1),  # noqa: S108 (a path in the image)
        file("etc/late", pax_headers={"atime": str(EPOCH + 1)}),
        file("etc/late", pax_headers={"ctime": str(EPOCH + 1)}),
    ],
)
def test_a_time_after_the_epoch_fails(item: Item, tmp_path: Path) -> None:
    image = SoundImage()
    image.put(item)
    ((name, (detail,)),) = image.failures(tmp_path).items()
    assert name == "times"
    assert detail.startswith("layer 0: /etc/late: 17040672")


def test_a_late_time_that_a_later_layer_hides_fails(tmp_path: Path) -> None:
    hidden = [file("etc/late", mtime=EPOCH + 1), file("etc/later", mtime=EPOCH + 2)]
    image = Image(layers=[tar(hidden), tar([file("etc/late"), file("etc/.wh.later")])])
    written = layout.read(image.write(tmp_path / "layout"))
    with tree.opened(written) as files:
        check = times(files, written, EPOCH)
    assert check.details == (
        f"layer 0: /etc/late: {EPOCH + 1}",
        f"layer 0: /etc/later: {EPOCH + 2}",
    )
    assert (check.passed, check.figure) == (False, EPOCH + 2)


def test_an_earlier_time_passes(tmp_path: Path) -> None:
    image = SoundImage()
    image.put(file("etc/early", mtime=0))
    check = image.audit(tmp_path)["times"]
    assert (check.passed, check.figure, check.limit) == (True, EPOCH, EPOCH)


@pytest.mark.parametrize(
    ("created", "said"),
    [
        ("2024-01-01T00:00:01Z", "at 2024-01-01T00:00:01+00:00"),
        ("2023-12-31T23:59:59Z", "at 2023-12-31T23:59:59+00:00"),
        (None, "at no time"),
    ],
)
def test_an_image_made_at_another_time_fails(
    created: str | None, said: str, tmp_path: Path
) -> None:
    image = SoundImage()
    image.image.created = created
    assert image.failures(tmp_path) == {"times": (f"the image says it was created {said}",)}


def test_a_step_made_after_the_epoch_fails(tmp_path: Path) -> None:
    image = SoundImage()
    steps = [CREATED, CREATED, "2024-01-02T00:00:00Z"]
    image.image.config = {"history": [{"created": step} for step in steps]}
    assert image.failures(tmp_path) == {
        "times": ("a step of its history was made at 2024-01-02T00:00:00+00:00",)
    }
