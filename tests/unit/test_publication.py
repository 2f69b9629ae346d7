"""Publication into an OCI image layout."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from builders import publication
from builders.errors import PublicationError
from builders.publication import PassedImage, publish, published_digest


def make_image(directory: Path, platform: str, content: bytes = b"layer") -> PassedImage:
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(blob: bytes) -> dict[str, object]:
        name = hashlib.sha256(blob).hexdigest()
        (blobs / name).write_bytes(blob)
        return {"digest": f"sha256:{name}", "size": len(blob), "mediaType": "x"}

    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add(json.dumps({"platform": platform}).encode()),
        "layers": [add(content)],
    }
    digest = str(add(json.dumps(manifest).encode())["digest"])
    return PassedImage(name="equivec/a-b", platform=platform, layout=directory, digest=digest)


def test_platforms_become_one_index_with_the_tested_digests(tmp_path: Path) -> None:
    amd64 = make_image(tmp_path / "1", "linux/amd64")
    arm64 = make_image(tmp_path / "2", "linux/arm64")
    target = tmp_path / "images"

    digests = publish(target, [arm64, amd64], [])

    assert json.loads((target / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    listing = json.loads((target / "index.json").read_bytes())
    (entry,) = listing["manifests"]
    assert entry["digest"] == digests["equivec/a-b"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "a-b"
    index = json.loads((target / "blobs/sha256" / entry["digest"][7:]).read_bytes())
    assert [manifest["digest"] for manifest in index["manifests"]] == [amd64.digest, arm64.digest]
    assert published_digest(target, "equivec/a-b", "linux/arm64") == arm64.digest
    for blob in (target / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    image = make_image(tmp_path / "1", "linux/amd64")
    target = tmp_path / "images"

    def files() -> dict[Path, tuple[int, bytes]]:
        return {path: (path.stat().st_ino, path.read_bytes()) for path in blobs.iterdir()}

    blobs = target / "blobs" / "sha256"
    first = publish(target, [image], [])
    before, listing = files(), (target / "index.json").read_bytes()
    again = publish(target, [image], [])

    assert first == again
    assert files() == before
    assert (target / "index.json").read_bytes() == listing


def test_what_was_damaged_since_is_published_anew(tmp_path: Path) -> None:
    image = make_image(tmp_path / "1", "linux/amd64", b"layer")
    target = tmp_path / "images"
    publish(target, [image], [])
    layer = target / "blobs/sha256" / hashlib.sha256(b"layer").hexdigest()
    layer.write_bytes(b"lay3r")

    publish(target, [image], [])

    assert layer.read_bytes() == b"layer"


def test_other_platforms_stay_and_withdrawn_ones_go(tmp_path: Path) -> None:
    amd64 = make_image(tmp_path / "1", "linux/amd64", b"one")
    arm64 = make_image(tmp_path / "2", "linux/arm64", b"two")
    target = tmp_path / "images"
    publish(target, [amd64, arm64], [])

    publish(target, [], [("equivec/a-b", "linux/arm64")])

    assert published_digest(target, "equivec/a-b", "linux/amd64") == amd64.digest
    assert published_digest(target, "equivec/a-b", "linux/arm64") is None
    names = {blob.name for blob in (target / "blobs/sha256").iterdir()}
    assert hashlib.sha256(b"one").hexdigest() in names
    assert hashlib.sha256(b"two").hexdigest() not in names

    publish(target, [], [("equivec/a-b", "linux/amd64")])
    assert json.loads((target / "index.json").read_bytes())["manifests"] == []


def test_a_damaged_blob_is_refused_and_nothing_is_listed(tmp_path: Path) -> None:
    image = make_image(tmp_path / "1", "linux/amd64", b"layer")
    layer = image.layout / "blobs/sha256" / hashlib.sha256(b"layer").hexdigest()
    layer.write_bytes(b"lay3r")
    target = tmp_path / "images"

    with pytest.raises(PublicationError, match="damaged"):
        publish(target, [image], [])

    assert not (target / "index.json").exists()
    assert not list(target.rglob("*.partial"))


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    image = make_image(tmp_path / "1", "linux/amd64")
    (image.layout / "blobs/sha256" / image.digest[7:]).unlink()

    with pytest.raises(PublicationError, match="cannot be read"):
        publish(tmp_path / "images", [image], [])


def test_a_damaged_publication_says_what_to_do(tmp_path: Path) -> None:
    target = tmp_path / "images"
    target.mkdir()
    (target / "index.json").write_text('{"manifests": [{}]}', encoding="utf-8")

    with pytest.raises(PublicationError, match=r"index\.json.*\n.*delete"):
        publish(target, [], [])


def test_releases_stay_when_other_images_pass(tmp_path: Path) -> None:
    target = tmp_path / "images"
    name = "equivec/a-b"
    first = publish(target, [make_image(tmp_path / "1", "linux/amd64", b"one")], [])[name]
    publication.put_tag(target, name, "v1.0.0", first)
    publication.put_tag(target, name, "latest", first)
    second = publish(target, [make_image(tmp_path / "2", "linux/amd64", b"two")], [])[name]

    assert publication.indexes(target) == {name: second}
    assert publication.tags(target, name) == {"v1.0.0": first, "latest": first}
    listed = json.loads((target / "index.json").read_bytes())["manifests"]
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in listed] == [
        *("a-b", "a-b:latest", "a-b:v1.0.0"),
    ]
    blobs = {blob.name for blob in (target / "blobs/sha256").iterdir()}
    assert {hashlib.sha256(layer).hexdigest() for layer in (b"one", b"two")} <= blobs

    publication.put_tag(target, name, "latest", second)
    assert publication.tags(target, name) == {"v1.0.0": first, "latest": second}
    publish(target, [], [(name, "linux/amd64")])
    assert publication.tags(target, name) == {"v1.0.0": first, "latest": second}
    assert publication.indexes(target) == {}


def test_a_tag_is_put_only_on_what_is_there(tmp_path: Path) -> None:
    target = tmp_path / "images"
    with pytest.raises(PublicationError, match="is not published"):
        publication.put_tag(target, "equivec/a-b", "v1", f"sha256:{'0' * 64}")
    image = make_image(tmp_path / "1", "linux/amd64")
    digest = publish(target, [image], [])["equivec/a-b"]
    with pytest.raises(PublicationError, match="has no index"):
        publication.put_tag(target, "equivec/a-b", "v1", image.digest)
    with pytest.raises(PublicationError, match="has no index"):
        publication.put_tag(target, "equivec/other", "v1", digest)
    assert publication.tags(target, "equivec/a-b") == {}


def test_documents_are_checked_and_images_copied(tmp_path: Path) -> None:
    target = tmp_path / "images"
    image = make_image(tmp_path / "1", "linux/amd64", b"layer")
    publish(target, [image], [])
    manifest = publication.document(target, image.digest)
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == image.digest

    publication.copy(target, image.digest, tmp_path / "copy")
    (entry,) = json.loads((tmp_path / "copy" / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == image.digest
    assert publication.document(tmp_path / "copy", image.digest) == manifest
    blobs = sorted(blob.name for blob in (tmp_path / "copy" / "blobs/sha256").iterdir())
    assert blobs == sorted(blob.name for blob in (tmp_path / "1" / "blobs/sha256").iterdir())

    with pytest.raises(PublicationError, match="is not there"):
        publication.document(target, f"sha256:{'0' * 64}")
    (target / "blobs/sha256" / image.digest[7:]).write_bytes(manifest + b" ")
    with pytest.raises(PublicationError, match="holds the bytes of"):
        publication.document(target, image.digest)
