"""The images of the corpus are those that their script makes, and each is of the kind it claims."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from tests.corpus import make_images

LISTED = [
    json.loads(line)
    for line in make_images.IMAGES.with_name("images.jsonl").read_text("utf-8").splitlines()
]

MODES = {
    "rgb": {"RGB"},
    "grey": {"L"},
    "palette": {"P"},
    "alpha": {"P", "LA", "RGBA"},
    "16-bit": {"I;16", "RGB"},
    "1x1": {"RGB"},
    "aspect": {"RGB"},
    "jpeg": {"RGB", "L"},
    "exif": {"RGB"},
    "cmyk": {"CMYK"},
    "animated": {"P"},
    "webp": {"RGB"},
}


def committed(name: str) -> bytes:
    return (make_images.IMAGES / name).read_bytes()


@pytest.mark.parametrize("name", make_images.pngs())
def test_the_script_makes_each_png_byte_for_byte(name: str) -> None:
    assert make_images.pngs()[name] == committed(name)


@pytest.mark.parametrize("name", make_images.others())
def test_the_script_makes_the_other_pictures(name: str) -> None:
    """Encoders may change their bytes: what is committed counts. The pictures stay as they are."""
    made, found = (
        Image.open(io.BytesIO(content)) for content in (make_images.others()[name], committed(name))
    )
    assert (made.format, made.mode, made.size) == (found.format, found.mode, found.size)


def test_every_image_is_listed_and_small() -> None:
    files = [entry["file"] for entry in LISTED]
    assert sorted(files) == sorted(path.name for path in make_images.IMAGES.iterdir())
    assert set(files) == {*make_images.pngs(), *make_images.others()}
    assert 12 <= len(files) <= 16
    assert sum(len(committed(name)) for name in files) < 100_000


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: str(entry["id"]))
def test_each_is_of_its_kind(entry: dict[str, str]) -> None:
    picture = Image.open(io.BytesIO(committed(entry["file"])))
    assert picture.mode in MODES[entry["kind"]]
    assert picture.has_transparency_data == (entry["kind"] == "alpha")
    assert (getattr(picture, "n_frames", 1) > 1) == (entry["kind"] == "animated")
    assert (picture.getexif().get(make_images.ORIENTATION) == 6) == (entry["kind"] == "exif")
    assert (picture.size == (1, 1)) == (entry["kind"] == "1x1")
    assert (max(picture.size) / min(picture.size) > 10) == (entry["kind"] == "aspect")


def test_few_are_for_emulated_containers_and_of_different_kinds() -> None:
    kinds = [entry["kind"] for entry in LISTED if entry.get("emulated")]
    assert kinds == ["alpha", "1x1", "exif"]
