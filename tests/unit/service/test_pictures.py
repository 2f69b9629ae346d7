"""Every kind of file that an image may come in, and what is no image."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedding_service import pictures
from embedding_service.errors import ImageError, ImageTooLargeError
from tests.corpus import make_images
from tests.corpus.make_images import GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, png


def pixels(content: bytes) -> list[tuple[int, ...]]:
    """Decode, as `decoded` is meant to be used: opaque RGB, nothing said, nothing warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = pictures.decoded(content, index=0)
    assert picture.mode == "RGB"
    return [tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()]


def saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def row(*values: tuple[int, ...], colour: int, depth: int = 8, extra: Any = ()) -> bytes:
    """A PNG of one row."""
    return png(len(values), 1, colour, lambda x, _y: values[x], *extra, depth=depth)


RED, GREEN, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (255, 255, 255), (0, 0, 0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (row(RED, (1, 2, 3), colour=RGB), [RED, (1, 2, 3)]),
        (row((0,), (200,), colour=GREY), [BLACK, (200, 200, 200)]),
        (row((1,), (0,), colour=PALETTE, extra=[(b"PLTE", bytes([*RED, *GREEN]))]), [GREEN, RED]),
        # Colours under full transparency do not show; half of it lets half of the page through.
        (row((9, 9, 9, 0), (*RED, 255), (*BLACK, 128), colour=RGB_ALPHA), [WHITE, RED, (127,) * 3]),
        (row((9, 0), (9, 255), colour=GREY_ALPHA), [WHITE, (9, 9, 9)]),
        (
            row(
                *((0,), (1,)),
                colour=PALETTE,
                extra=[(b"PLTE", bytes([*RED, *GREEN])), (b"tRNS", b"\0")],
            ),
            [WHITE, GREEN],
        ),
        (row(RED, GREEN, colour=RGB, extra=[(b"tRNS", struct.pack(">3H", *RED))]), [WHITE, GREEN]),
        # 16 bits: the upper half of each.
        (row((0x12FF,), (0xFF00,), colour=GREY, depth=16), [(0x12,) * 3, WHITE]),
        (row((0x12FF, 0, 0xFFFF), colour=RGB, depth=16), [(0x12, 0, 255)]),
        (
            row((0, 0, 0, 0), (0x12FF, 0, 0, 0xFFFF), colour=RGB_ALPHA, depth=16),
            [WHITE, (18, 0, 0)],
        ),
    ],
)
def test_a_png_is_what_it_looks_like_on_a_white_page(
    content: bytes, expected: list[tuple[int, ...]]
) -> None:
    assert pixels(content) == expected


def test_one_bit_is_black_and_white() -> None:
    assert pixels(saved(Image.new("1", (1, 1), 1), "PNG")) == [WHITE]


def test_one_pixel_is_enough() -> None:
    assert pixels(make_images.pngs()["pixel.png"]) == [(200, 30, 60)]


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("WEBP", "RGB"),
        ("GIF", "RGB"),
    ],
)
def test_the_other_formats_are_read(form: str, mode: str) -> None:
    picture = Image.new("RGB", (16, 16), (200, 200, 200)).convert(mode)
    found = np.array(pixels(saved(picture, form)))
    assert found.shape == (256, 3)
    assert np.abs(found - 200).max() <= 2


def test_transparency_of_webp_and_gif_is_white() -> None:
    nothing = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert set(pixels(saved(nothing, "WEBP", lossless=True))) == {WHITE}
    assert set(pixels(saved(nothing, "GIF"))) == {WHITE}


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_counts(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLACK)]
    options = {"lossless": True} if form == "WEBP" else {}
    content = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 3
    assert set(pixels(content)) == {RED}


CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
"""Upper left, upper right, lower left, lower right."""


@pytest.mark.parametrize(
    ("orientation", "order"),
    [
        *((0, (0, 1, 2, 3)), (1, (0, 1, 2, 3)), (2, (1, 0, 3, 2)), (3, (3, 2, 1, 0))),
        *((4, (2, 3, 0, 1)), (5, (0, 2, 1, 3)), (6, (2, 0, 3, 1)), (7, (3, 1, 2, 0))),
        *((8, (1, 3, 0, 2)), (9, (0, 1, 2, 3))),
    ],
)
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_exif_turns_the_picture(form: str, orientation: int, order: tuple[int, ...]) -> None:
    picture = Image.new("RGB", (2, 2))
    picture.putdata(CORNERS)
    exif = Image.Exif()
    exif[make_images.ORIENTATION] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    assert pixels(saved(picture, form, exif=exif, **options)) == [CORNERS[place] for place in order]


def test_a_turned_jpeg_is_as_wide_as_it_was_high() -> None:
    content = make_images.others()["rotated.jpg"]
    assert Image.open(io.BytesIO(content)).size == (90, 60)
    assert pictures.decoded(content, index=0).size == (60, 90)


def test_odd_exif_does_not_spoil_the_picture() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x03xy\0\0\0\0\0\0"
    content = saved(Image.new("RGB", (8, 4), GREEN), "JPEG", exif=exif)
    assert pictures.decoded(content, index=0).size == (8, 4)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no image", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        *(b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe0", b"%PDF-1.7"),
    ],
)
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(ImageError) as refusal:
        pictures.decoded(content, index=3)
    assert refusal.value.index == 3
    assert not isinstance(refusal.value, ImageTooLargeError)


@pytest.mark.parametrize("form", ["TIFF", "BMP", "ICO", "PPM", "TGA", "AVIF", "JPEG2000"])
def test_an_image_of_another_format_is_refused(form: str) -> None:
    with pytest.raises(ImageError, match="the image is none of PNG, JPEG, WEBP, GIF"):
        pictures.decoded(saved(Image.new("RGB", (16, 16)), form), index=0)


WHOLE = {**make_images.pngs(), **make_images.others()}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_cut_off_is_refused_or_has_all_its_pixels(name: str) -> None:
    """Nothing is filled in; a file may do without what only ends it."""
    content = WHOLE[name]
    expected = pixels(content)
    refused = 0
    for length in {*range(0, len(content), len(content) // 40 + 1), *range(len(content))[-24:]}:
        try:
            assert pixels(content[:length]) == expected
        except ImageError:
            refused += 1
    assert refused >= 20


@pytest.mark.parametrize("name", WHOLE)
def test_broken_bytes_never_raise_anything_else(name: str) -> None:
    content = bytearray(WHOLE[name])
    step = len(content) // 120 + 1
    for place in (*range(min(60, len(content))), *range(0, len(content), step)):
        broken = content.copy()
        broken[place] ^= 0xFF
        with contextlib.suppress(ImageError):
            pixels(bytes(broken))


def blank(width: int, height: int, *, rows: int) -> bytes:
    """A PNG of one bit in next to no bytes, with some of the rows that it announces."""
    packer = zlib.compressobj(9)
    line = b"\0" + b"\xff" * ((width + 7) // 8)
    body = b"".join(packer.compress(line) for _ in range(rows)) + packer.flush()
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, GREY, 0, 0, 0)),
        (b"IDAT", body),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(make_images.chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("width", "height"),
    [(7072, 7072), (65_536, 1), (1, 65_536), (10_000, 10_000), (50_000, 50_000)],
)
def test_what_would_become_too_large_is_refused_before_it_does(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "load", _never)
    with pytest.raises(ImageTooLargeError, match="more than 50000000 pixels, or a side of more"):
        pictures.decoded(blank(width, height, rows=1), index=0)


def _never(*_: object) -> None:
    raise AssertionError("it was decoded")


@pytest.mark.parametrize(("width", "height"), [(65_535, 3), (3, 65_535)])
def test_extreme_shapes_are_read(width: int, height: int) -> None:
    assert pictures.decoded(blank(width, height, rows=height), index=0).size == (width, height)


def test_a_frame_larger_than_its_animation_is_no_way_around_the_limit() -> None:
    gif = bytearray(saved(Image.new("P", (4, 4)), "GIF"))
    place = gif.index(b",\0\0\0\0\x04\0\x04\0")
    gif[place + 5 : place + 9] = struct.pack("<HH", 65_535, 65_535)
    with pytest.raises(ImageError):
        pictures.decoded(bytes(gif), index=0)


def test_running_out_of_memory_is_not_the_images_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", fails)
    with pytest.raises(MemoryError):
        pictures.decoded(make_images.pngs()["checkers-grey.png"], index=0)
