"""Makes the images of the corpus: `python -m tests.corpus.make_images [DIRECTORY]`.

Small ones, of every kind that decoders treat differently, with contents that are far apart. The
PNG files are written here, from integers alone, and are the same bytes everywhere. The others are
Pillow's (libjpeg-turbo's, libwebp's): they were made once, and what is committed is what counts;
`images.jsonl` has every file's sha256.
"""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

IMAGES = Path(__file__).parent / "images"

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""PNG's colour types (https://www.w3.org/TR/png-3/#6Colour-values)."""

ORIENTATION = 0x0112
_STORED = 65_535
"""The most bytes of a block that is not compressed (RFC 1951)."""

Pixel = tuple[int, ...]
Paint = Callable[[int, int], Pixel]
"""The channels at a column and a row."""


def main() -> None:
    """Write every file."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in {**pngs(), **others()}.items():
        (directory / name).write_bytes(content)


def pngs() -> Mapping[str, bytes]:
    """Return the PNG files by name."""
    colours = ((230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48))
    table = (b"PLTE", bytes(sum(colours, ())))
    noise = _noise(48 * 40 * 6)
    return {
        "gradient.png": png(96, 64, RGB, lambda x, y: (x * 255 // 95, y * 255 // 63, 96)),
        "checkers-grey.png": png(50, 50, GREY, lambda x, y: ((x // 5 + y // 5) % 2 * 255,)),
        "stripes-palette.png": png(40, 40, PALETTE, lambda x, y: ((x + y) // 8 % 5,), table),
        "disc-alpha.png": png(64, 64, RGB_ALPHA, _disc),
        "ring-palette-transparent.png": png(
            *(48, 48, PALETTE, _ring), table, (b"tRNS", bytes([0, 255, 128]))
        ),
        "bars-grey-alpha.png": png(40, 30, GREY_ALPHA, lambda x, y: (x * 6, 255 - y * 8)),
        "ramp-grey-16.png": png(64, 48, GREY, lambda x, y: (x * 1023 + y,), depth=16),
        "noise-rgb-16.png": png(
            *(48, 40, RGB, lambda x, y: noise[(y * 48 + x) * 3 :][:3]), depth=16
        ),
        "pixel.png": png(1, 1, RGB, lambda _x, _y: (200, 30, 60)),
        "wide.png": png(400, 2, RGB, lambda x, y: (x % 256, 255 * y, 255 - x % 256)),
    }


def others() -> Mapping[str, bytes]:
    """Return the files of other formats by name."""
    photo = _picture(120, 80, lambda x, y: (_wave(x * 2 + y), _wave(3 * y), _wave(x * y // 16)))
    arrow = _picture(90, 60, lambda x, y: (250, 250, 250) if x < y else (20, 60, 160))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    frames = [
        _picture(32, 32, lambda x, y, red=red: (red, 8 * (x // 8) * 4, 8 * (y // 8) * 4))
        for red in (0, 255)
    ]
    return {
        "photo.jpg": _saved(photo, "JPEG", quality=85),
        "rotated.jpg": _saved(arrow, "JPEG", quality=90, exif=exif.tobytes()),
        "print-cmyk.jpg": _saved(
            photo.transpose(Image.Transpose.ROTATE_90).convert("CMYK"), "JPEG"
        ),
        "progressive-grey.jpg": _saved(
            _picture(72, 72, lambda x, y: (_wave(x * x // 24 + y),) * 3).convert("L"),
            "JPEG",
            progressive=True,
        ),
        "animated.gif": _saved(
            frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0
        ),
        "lossy.webp": _saved(
            _picture(80, 60, lambda x, y: (255 - x * 3, _wave(x + 5 * y), y * 4)),
            "WEBP",
            quality=80,
        ),
    }


def png(
    width: int, height: int, colour: int, paint: Paint, *chunks: tuple[bytes, bytes], depth: int = 8
) -> bytes:
    """Return a PNG file that is not compressed.

    Args:
        width: In pixels.
        height: In pixels.
        colour: The colour type.
        paint: Gives each pixel.
        chunks: What stands between header and pixels.
        depth: Bits of a channel: 8 or 16.
    """
    form = "B" if depth == 8 else "H"
    rows = (
        b"\0" + b"".join(struct.pack(f">{len(pixel)}{form}", *pixel) for pixel in row)
        for row in ([tuple(paint(x, y)) for x in range(width)] for y in range(height))
    )
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), *chunks, (b"IDAT", _stored(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a part of a PNG file."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def _stored(content: bytes) -> bytes:
    """Return a zlib stream of blocks that are not compressed: no library's version has a say."""
    blocks = [content[place : place + _STORED] for place in range(0, len(content), _STORED)]
    return (
        b"\x78\x01"
        + b"".join(
            struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
            for number, block in enumerate(blocks, start=1)
        )
        + struct.pack(">I", zlib.adler32(content))
    )


def _noise(count: int) -> tuple[int, ...]:
    stream = hashlib.shake_256(b"equivec corpus noise").digest(2 * count)
    return struct.unpack(f">{count}H", stream)


def _disc(x: int, y: int) -> Pixel:
    away = (x - 32) ** 2 + (y - 32) ** 2
    return (220, 40, 3 * x, 255 if away < 24**2 else 0)


def _ring(x: int, y: int) -> Pixel:
    away = (x - 24) ** 2 + (y - 24) ** 2
    return (0 if away > 20**2 else 2 if away < 10**2 else 3,)


def _wave(number: int) -> int:
    """Return a number from 0 to 255 that rises and falls."""
    place = number * 5 % 512
    return place if place < 256 else 511 - place


def _picture(width: int, height: int, paint: Callable[..., Pixel]) -> Image.Image:
    pixels: Iterator[Pixel] = (paint(x, y) for y in range(height) for x in range(width))
    content = bytes(channel for pixel in pixels for channel in pixel)
    return Image.frombytes("RGB", (width, height), content)


def _saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


if __name__ == "__main__":
    main()
