"""Where two images differ: each kind of difference is found, and named by layer and path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.difference import Difference, Finding, What, compare
from builders.formats import layout
from builders.formats.layer import CHUNK, TAR_GZIP, TAR_ZSTD
from builders.formats.layout import Layout, blob_path
from tests.unit.images import (
    EPOCH,
    Image,
    Item,
    directory,
    file,
    hardlink,
    symlink,
    tar,
)

BASE = tar([file("etc/base", "base")])
ITEMS = (
    directory("opt"),
    file("opt/module", "import os\n"),
    hardlink("opt/same", "opt/module"),
    symlink("opt/link", "module"),
)


def image(*items: Item, **changes: Any) -> Image:
    return Image(layers=[BASE, tar(items or ITEMS)], **changes)


def compared(where: Path, kept: Image, rebuilt: Image) -> Difference:
    return compare(
        layout.read(kept.write(where / "kept")), layout.read(rebuilt.write(where / "rebuilt"))
    )


def changed(path: str, item: Item) -> tuple[Item, ...]:
    """Return the members with another in the place of one."""
    return tuple(item if old.header.name == path else old for old in ITEMS)


def described(difference: Difference) -> list[tuple[str, str, What]]:
    return [(found.place, found.path, found.what) for found in difference.findings]


def test_the_same_image_is_identical(tmp_path: Path) -> None:
    difference = compared(tmp_path, image(), image())
    assert difference.identical
    assert (difference.findings, difference.differing_bytes) == ((), 0)


@pytest.mark.parametrize(
    ("path", "item", "expected"),
    [
        (
            "opt/module",
            file("opt/module", "import io\n"),
            (What.CONTENT, "10 bytes", "10 bytes, others from 7 on"),
        ),
        (
            "opt/module",
            file("opt/module", "import os\n\n"),
            (What.CONTENT, "10 bytes", "11 bytes, others from 10 on"),
        ),
        (
            "opt/module",
            file("opt/module"),
            (What.CONTENT, "10 bytes", "0 bytes, others from 0 on"),
        ),
        ("opt", directory("opt", mode=0o700), (What.MODE, "0755", "0700")),
        ("opt/link", symlink("opt/link", "module", uid=1, gid=2), (What.OWNER, "0:0", "1:2")),
        (
            "opt",
            directory("opt", mtime=EPOCH + 1),
            (What.TIME, "1704067200.0", "1704067201.0"),
        ),
        (
            "opt",
            directory("opt", pax_headers={"atime": str(EPOCH + 7)}),
            (What.TIME, "1704067200.0", "1704067200.0, newest 1704067207.0"),
        ),
        ("opt/link", symlink("opt/link", "same"), (What.TARGET, "module", "same")),
        ("opt/link", file("opt/link"), (What.KIND, "symlink", "file")),
        (
            "opt",
            directory("opt", pax_headers={"SCHILY.xattr.user.x": "1"}),
            (What.ATTRIBUTES, "", "user.x"),
        ),
    ],
)
def test_a_member_that_differs_is_named(
    path: str, item: Item, expected: tuple[What, str, str], tmp_path: Path
) -> None:
    difference = compared(tmp_path, image(), image(*changed(path, item)))
    assert not difference.identical
    what, kept, rebuilt = expected
    assert difference.findings == (
        Finding(place="layer 1 (step 1)", path=f"/{path}", what=what, kept=kept, rebuilt=rebuilt),
    )


def test_all_that_differs_in_one_member_is_named(tmp_path: Path) -> None:
    item = file("opt/module", "x", mode=0o755, mtime=EPOCH + 1, uid=1)
    difference = compared(tmp_path, image(), image(*changed("opt/module", item)))
    assert {found.what for found in difference.findings} == {
        What.MODE,
        What.OWNER,
        What.TIME,
        What.CONTENT,
    }


@pytest.mark.parametrize("offset", [0, CHUNK - 1, CHUNK, 2 * CHUNK + 5])
def test_content_is_compared_to_its_end(offset: int, tmp_path: Path) -> None:
    content = bytearray(2 * CHUNK + 6)
    old = image(file("big", bytes(content)))
    content[offset] = 1
    (found,) = compared(tmp_path, old, image(file("big", bytes(content)))).findings
    assert found.rebuilt == f"{len(content)} bytes, others from {offset} on"


def test_what_is_missing_and_what_is_extra(tmp_path: Path) -> None:
    renamed = changed("opt/link", symlink("opt/new", "module"))
    assert described(compared(tmp_path, image(), image(*renamed))) == [
        ("layer 1 (step 1)", "/opt/link", What.MISSING),
        ("layer 1 (step 1)", "/opt/new", What.EXTRA),
    ]


def test_the_root_itself_is_named(tmp_path: Path) -> None:
    old, new = image(directory(".")), image(directory(".", mode=0o700))
    assert described(compared(tmp_path, old, new)) == [("layer 1 (step 1)", "/", What.MODE)]


def test_another_order_of_the_members(tmp_path: Path) -> None:
    difference = compared(tmp_path, image(), image(*ITEMS[:2], ITEMS[3], ITEMS[2]))
    assert difference.findings == (
        Finding(
            place="layer 1 (step 1)",
            path="",
            what=What.ORDER,
            kept="/opt/same",
            rebuilt="/opt/link",
        ),
    )


def test_a_header_that_members_do_not_show(tmp_path: Path) -> None:
    named = image(*changed("opt", directory("opt", uname="builder")))
    difference = compared(tmp_path, image(), named)
    assert described(difference) == [("layer 1 (step 1)", "", What.HEADER)]


def test_compression_only(tmp_path: Path) -> None:
    difference = compared(tmp_path, image(), image(media_type=TAR_GZIP))
    assert described(difference) == [
        ("layer 0 (step 0)", "", What.COMPRESSION),
        ("layer 1 (step 1)", "", What.COMPRESSION),
    ]
    assert difference.findings[0].kept.startswith(f"{TAR_ZSTD}, ")
    assert difference.findings[0].rebuilt.startswith(f"{TAR_GZIP}, ")


@pytest.mark.parametrize(
    ("changes", "path", "kept", "rebuilt"),
    [
        ({"run": {"Labels": {"a": "2"}}}, "config.Labels.a", "", '"2"'),
        ({"run": {"Env": ["A=1"]}}, "config.Env.0", "", '"A=1"'),
        (
            {"created": "2024-01-02T00:00:00Z"},
            "created",
            '"2024-01-01T00:00:00Z"',
            '"2024-01-02T00:00:00Z"',
        ),
    ],
)
def test_configuration_only(
    changes: dict[str, Any], path: str, kept: str, rebuilt: str, tmp_path: Path
) -> None:
    old = image(run={"User": "1"})
    run = {**old.run, **changes.pop("run", {})}
    difference = compared(tmp_path, old, image(run=run, **changes))
    assert difference.findings == (
        Finding(place="configuration", path=path, what=What.VALUE, kept=kept, rebuilt=rebuilt),
    )


def rewritten(image: Layout, **changes: Any) -> Layout:
    """Return an image whose manifest is another document."""
    path = blob_path(image.directory, image.manifest_digest)
    manifest = {**json.loads(path.read_bytes()), **changes}
    text = json.dumps(manifest, indent=1)
    path.with_name("f" * 64).write_text(text)
    return replace(image, manifest_digest=f"sha256:{'f' * 64}")


@pytest.mark.parametrize(
    ("changes", "path", "what"),
    [
        ({"annotations": {"made": "today"}}, "annotations.made", What.VALUE),
        ({}, "", What.SPELLING),
    ],
)
def test_manifest_only(changes: dict[str, Any], path: str, what: What, tmp_path: Path) -> None:
    old = layout.read(image().write(tmp_path / "layout"))
    new = rewritten(old, **changes)
    difference = compare(old, new)
    assert described(difference) == [("manifest", path, what)]
    assert difference.differing_bytes == blob_path(new.directory, "f" * 64).stat().st_size


@pytest.mark.parametrize(("kept", "rebuilt", "what"), [(1, 2, What.EXTRA), (2, 1, What.MISSING)])
def test_a_layer_more_or_less(kept: int, rebuilt: int, what: What, tmp_path: Path) -> None:
    layers: Sequence[bytes] = [BASE, tar(ITEMS)]
    difference = compared(tmp_path, Image(layers=layers[:kept]), Image(layers=layers[:rebuilt]))
    assert ("layer 1 (step 1)", "", what) in described(difference)
    assert difference.differing_bytes > 0


def test_differing_bytes_are_those_of_the_blobs_that_are_new(tmp_path: Path) -> None:
    item = file("opt/module", "import io\n")
    difference = compared(tmp_path, image(), image(*changed("opt/module", item)))
    rebuilt = layout.read(tmp_path / "rebuilt")
    assert difference.differing_bytes == rebuilt.compressed_size - rebuilt.layers[0].size


def test_a_finding_reads_as_a_line() -> None:
    content = Finding(
        place="layer 4 (COPY --from=site)",
        path="/opt/x",
        what=What.CONTENT,
        kept="3 bytes",
        rebuilt="4 bytes, others from 3 on",
    )
    assert str(content) == (
        "layer 4 (COPY --from=site): /opt/x: content: 3 bytes -> 4 bytes, others from 3 on"
    )
    missing = Finding(place="layer 4 (COPY)", path="/opt/x", what=What.MISSING)
    assert str(missing) == "layer 4 (COPY): /opt/x: missing"
    added = replace(missing, what=What.ATTRIBUTES, rebuilt="user.x")
    assert str(added) == "layer 4 (COPY): /opt/x: extended attributes: nothing -> user.x"


def test_the_instruction_is_written_on_one_line(tmp_path: Path) -> None:
    history = [{"created_by": "COPY base /"}, {"created_by": "RUN  date \n  > /now"}]
    old = image(file("now", "1"), config={"history": history})
    new = image(file("now", "2"), config={"history": history})
    (found,) = compared(tmp_path, old, new).findings
    assert (found.place, found.path) == ("layer 1 (RUN date > /now)", "/now")
