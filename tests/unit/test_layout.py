"""Layouts: a good one is read whole; each damage is refused by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders.errors import LayoutError
from builders.formats import layout
from builders.formats.layer import TAR, TAR_GZIP, TAR_ZSTD
from tests.unit.images import CREATED, EPOCH, PACK, Image, blob, file, read_index, tar, write_index

LOWER = tar([file("a", b"lower")])
UPPER = tar([file("b", b"upper")])


def image(**changes: Any) -> Image:
    return Image(layers=[LOWER, UPPER], **changes)


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
def test_a_layout_is_read(media_type: str, tmp_path: Path) -> None:
    run = {
        "User": "65532:65532",
        "Entrypoint": ["/usr/bin/python3"],
        "Cmd": None,
        "Env": ["LANG=C.UTF-8"],
        "Labels": {"a": "b"},
    }
    directory = image(media_type=media_type, run=run).write(tmp_path / "layout")
    found = layout.read(directory)
    (descriptor,) = read_index(directory)
    assert found.manifest_digest == descriptor["digest"]
    assert found.platform == "linux/amd64"
    assert found.created == datetime.fromtimestamp(EPOCH, UTC)
    assert found.history == (found.created, found.created)
    assert found.annotations == {}
    packed = [PACK[media_type](archive) for archive in (LOWER, UPPER)]
    assert [la.size for la in found.layers] == [len(content) for content in packed]
    assert [la.unpacked_size for la in found.layers] == [len(LOWER), len(UPPER)]
    assert [la.diff_id for la in found.layers] == [
        f"sha256:{hashlib.sha256(archive).hexdigest()}" for archive in (LOWER, UPPER)
    ]
    assert [la.created_by for la in found.layers] == ["step 0", "step 1"]
    assert {la.media_type for la in found.layers} == {media_type}
    blobs = list((directory / "blobs" / "sha256").iterdir())
    assert found.compressed_size == sum(path.stat().st_size for path in blobs)
    assert found.run == layout.RunConfig(
        user="65532:65532",
        entrypoint=("/usr/bin/python3",),
        command=(),
        environment=("LANG=C.UTF-8",),
        working_directory="",
        labels={"a": "b"},
    )


@pytest.mark.parametrize("run", [{}, dict.fromkeys(("Entrypoint", "Cmd", "Env", "Labels"))])
def test_what_a_configuration_leaves_out_is_empty(run: dict[str, Any], tmp_path: Path) -> None:
    assert layout.read(image(run=run).write(tmp_path / "layout")).run == layout.RunConfig(
        user="", entrypoint=(), command=(), environment=(), working_directory="", labels={}
    )


def test_v8_is_what_every_arm64_is(tmp_path: Path) -> None:
    config = {"architecture": "arm64", "variant": "v8"}
    platform = {"architecture": "arm64", "os": "linux"}
    directory = image(config=config, platform=platform).write(tmp_path / "layout")
    assert layout.read(directory).platform == "linux/arm64"


def test_attestations_and_a_nested_index_are_no_images(tmp_path: Path) -> None:
    directory = image().write(tmp_path / "layout")
    attestation = {
        **read_index(directory)[0],
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    index = {"schemaVersion": 2, "manifests": [*read_index(directory), attestation]}
    nested = blob(directory / "blobs" / "sha256", json.dumps(index).encode())
    expected = layout.read(directory)
    write_index(
        directory, [{**nested, "mediaType": "application/vnd.oci.image.index.v1+json"}, attestation]
    )
    assert layout.read(directory) == expected


def test_an_index_in_an_index_in_an_index_is_refused(tmp_path: Path) -> None:
    directory = image().write(tmp_path / "layout")
    for _ in range(2):
        index = {"schemaVersion": 2, "manifests": read_index(directory)}
        nested = blob(directory / "blobs" / "sha256", json.dumps(index).encode())
        kind = "application/vnd.oci.image.index.v1+json"
        write_index(directory, [{**nested, "mediaType": kind}])
    with pytest.raises(LayoutError, match=r"is of the type '.*image\.index"):
        layout.read(directory)


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (
            [
                {"created_by": "first"},
                {"created_by": "ENV a=b", "empty_layer": True},
                {"created_by": "second", "created": CREATED},
            ],
            ["first", "second"],
        ),
        ([], ["", ""]),
        (None, ["", ""]),
    ],
)
def test_a_history_tells_of_layers_as_far_as_there_is_one(
    history: list[dict[str, Any]] | None, told: list[str], tmp_path: Path
) -> None:
    found = layout.read(image(config={"history": history}).write(tmp_path / "layout"))
    assert [layer.created_by for layer in found.layers] == told
    times = [step for step in history or () if "created" in step]
    assert found.history == tuple(datetime.fromtimestamp(EPOCH, UTC) for _ in times)


def replace_blob(directory: Path, content: bytes) -> None:
    path = layout.blob_path(directory, layout.read(directory).layers[0].digest)
    path.write_bytes(content)


def truncate(directory: Path) -> None:
    replace_blob(directory, b"short")


def alter(directory: Path) -> None:
    path = layout.blob_path(directory, layout.read(directory).layers[0].digest)
    replace_blob(directory, bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def delete_layer(directory: Path) -> None:
    layout.blob_path(directory, layout.read(directory).layers[0].digest).unlink()


def alter_manifest(directory: Path) -> None:
    path = layout.blob_path(directory, layout.read(directory).manifest_digest)
    path.write_bytes(path.read_bytes().replace(b'"schemaVersion": 2', b'"schemaVersion": 3'))


def retype_configuration(directory: Path) -> None:
    """Point the index at a manifest whose configuration is something else."""
    (described,) = read_index(directory)
    manifest = json.loads(layout.blob_path(directory, described["digest"]).read_bytes())
    manifest["config"]["mediaType"] = "text/plain"
    blobs = directory / "blobs" / "sha256"
    write_index(directory, [{**described, **blob(blobs, json.dumps(manifest).encode())}])


def change_descriptor(directory: Path, **changes: Any) -> None:
    write_index(directory, [{**read_index(directory)[0], **changes}])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (truncate, "has 5 bytes, not"),
        (alter, "holds the bytes of sha256:"),
        (delete_layer, "is not there"),
        (alter_manifest, "holds the bytes of sha256:"),
        (lambda d: (d / "index.json").unlink(), "cannot read index.json: No such file"),
        (lambda d: (d / "index.json").write_text("{"), "index.json is malformed"),
        (lambda d: (d / "index.json").write_text("[]"), "index.json is malformed"),
        (lambda d: (d / "oci-layout").unlink(), "cannot read oci-layout"),
        (
            lambda d: (d / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}'),
            "unknown layout version '2.0.0'",
        ),
        (lambda d: write_index(d, []), "holds 0 images, not one"),
        (lambda d: write_index(d, read_index(d) * 2), "holds 2 images, not one"),
        (lambda d: change_descriptor(d, mediaType="text/plain"), "is of the type 'text/plain'"),
        (retype_configuration, "the configuration is of the type 'text/plain'"),
        (
            lambda d: change_descriptor(d, digest="sha256:../../../../etc/passwd"),
            r"manifests\.0\.digest",
        ),
        (lambda d: change_descriptor(d, size=-1), r"manifests\.0\.size"),
        (
            lambda d: change_descriptor(d, platform={"os": "linux", "architecture": "arm64"}),
            "the index says linux/arm64, the configuration says linux/amd64",
        ),
        (
            lambda d: (d / "index.json").write_bytes(b" " * (4 * 2**20 + 1)),
            "index.json is longer than",
        ),
    ],
)
def test_damage_is_refused(damage: Callable[[Path], object], problem: str, tmp_path: Path) -> None:
    directory = image().write(tmp_path / "layout")
    damage(directory)
    with pytest.raises(LayoutError, match=problem):
        layout.read(directory)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"config": {"rootfs": {"diff_ids": [f"sha256:{'0' * 64}"] * 2}}},
            "the configuration says sha256:000",
        ),
        (
            {"config": {"rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]}}},
            "the manifest has 2 layers, the configuration 1",
        ),
        ({"config": {"history": [{"created_by": "x"}]}}, "the history has 1 layers"),
        ({"config": {"os": None}}, "os: Input should be a valid string"),
    ],
)
def test_a_contradicting_configuration_is_refused(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(LayoutError, match=problem):
        layout.read(image(**changes).write(tmp_path / "layout"))


def test_an_unknown_compression_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media_type = f"{TAR}+brotli"
    monkeypatch.setitem(PACK, media_type, lambda archive: archive)
    with pytest.raises(LayoutError, match=r"layer sha256:.* is a '.*brotli'"):
        layout.read(image(media_type=media_type).write(tmp_path / "layout"))


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    directory = Image(layers=[tar([file("zeros", bytes(10 * 2**20))])]).write(tmp_path / "layout")
    assert layout.read(directory).compressed_size < 10_000
    with pytest.raises(LayoutError, match="unpacks to more than 5000000 bytes"):
        layout.read(directory, limit=5_000_000)


def test_what_buildkit_leaves_is_removed(tmp_path: Path) -> None:
    directory = image().write(tmp_path / "layout")
    (directory / "ingest" / "unfinished").mkdir(parents=True)
    layout.remove_ingest(directory)
    layout.remove_ingest(directory)
    assert sorted(path.name for path in directory.iterdir()) == [
        "blobs",
        "index.json",
        "oci-layout",
    ]
    layout.read(directory)
