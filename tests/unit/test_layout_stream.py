"""The stream for `docker load` holds the layout's blobs as they are, under another name."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from builders.formats import layout
from builders.formats.layout_stream import stream
from tests.unit.images import Image, file, tar


def test_a_layout_is_streamed_under_another_name(tmp_path: Path) -> None:
    image = layout.read(Image(layers=[tar([file("a", b"content")])]).write(tmp_path / "layout"))
    archive = b"".join(stream(image, "equivec/untested:x"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as reader:
        members = {
            member.name: content.read()
            for member in reader.getmembers()
            if (content := reader.extractfile(member)) is not None
        }
    (described,) = json.loads(members.pop("index.json"))["manifests"]
    assert described["digest"] == image.manifest_digest
    assert described["annotations"] == {"io.containerd.image.name": "docker.io/equivec/untested:x"}
    assert json.loads(members.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    digests = [image.manifest_digest, image.config_digest, *(la.digest for la in image.layers)]
    assert members == {
        f"blobs/sha256/{digest.removeprefix('sha256:')}": layout.blob_path(
            image.directory, digest
        ).read_bytes()
        for digest in digests
    }


def test_a_layer_that_is_there_twice_is_sent_once(tmp_path: Path) -> None:
    layer = tar([file("a", b"content")])
    image = layout.read(Image(layers=[layer, layer]).write(tmp_path / "layout"))
    archive = b"".join(stream(image, "equivec/untested:x"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as reader:
        names = reader.getnames()
    assert len(names) == len(set(names))
