"""Pixels of an image as an encoder takes them, from the definition of the processors.

Pillow only decodes; its resampling is written down once more here. It is part of the definition:
what `resample` numbers in a preprocessor_config.json name are Pillow's filters, computed in 8 bits
(https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c).
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]

_BITS = 22
"""Of a coefficient's fraction: 32, less 8 of the pixel and 2 of room."""


def triangle(x: float) -> float:
    """Return the weight of a bilinear filter."""
    return max(0.0, 1.0 - abs(x))


def cubic(x: float) -> float:
    """Return the weight of a bicubic filter, with a = -1/2."""
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


FILTERS: Mapping[int, tuple[Callable[[float], float], float]] = {
    2: (triangle, 1.0),
    3: (cubic, 2.0),
}
"""A filter and its reach in pixels, by Pillow's number."""


def pixels(content: bytes, directory: Path) -> NDArray[np.float64]:
    """Return an opaque image's pixels by a directory's preprocessor_config.json.

    Returns:
        Of shape (channels, height, width).
    """
    with Image.open(io.BytesIO(content)) as opened:
        picture = np.asarray(opened.convert("RGB"))
    config = json.loads((directory / "preprocessor_config.json").read_bytes())
    width, height = _size(picture, config["size"])
    scaled = resized(picture, width, height, config["resample"])
    if config.get("do_center_crop"):
        scaled = _centre(scaled, config["crop_size"]["height"], config["crop_size"]["width"])
    shares = scaled.astype(np.float64) * config["rescale_factor"]
    normal = (shares - np.array(config["image_mean"])) / np.array(config["image_std"])
    return np.moveaxis(normal, -1, 0)


def patches(image: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Cut an image into squares, row by row.

    Args:
        image: Of shape (channels, height, width).
        size: Of a square, in pixels.

    Returns:
        Of shape (patches, channels x size x size).
    """
    channels, height, width = image.shape
    cut = image.reshape(channels, height // size, size, width // size, size)
    return cut.transpose(1, 3, 0, 2, 4).reshape(-1, channels * size * size)


def resized(picture: Bytes, width: int, height: int, resample: int) -> Bytes:
    """Return a picture of shape (rows, columns, channels) in another size: columns first."""
    across = _resampled(picture.transpose(1, 0, 2), width, resample).transpose(1, 0, 2)
    return _resampled(across, height, resample)


def _resampled(lines: Bytes, length: int, resample: int) -> Bytes:
    """Return so many lines, each a mean of some, rounded to whole numbers."""
    if len(lines) == length:
        return lines
    weight, reach = FILTERS[resample]
    scale = len(lines) / length
    stretch = max(scale, 1.0)
    made = np.empty((length, *lines.shape[1:]), dtype=np.uint8)
    for place in range(length):
        centre = (place + 0.5) * scale
        first = max(int(centre - reach * stretch + 0.5), 0)
        last = min(int(centre + reach * stretch + 0.5), len(lines))
        weights = [weight((each - centre + 0.5) / stretch) for each in range(first, last)]
        whole = sum(weights)
        shares = np.array([_fixed(each / whole) for each in weights], dtype=np.int64)
        total = np.tensordot(shares, lines[first:last].astype(np.int64), axes=1)
        made[place] = np.clip((total + (1 << (_BITS - 1))) >> _BITS, 0, 255)
    return made


def _fixed(share: float) -> int:
    return int(math.copysign(0.5, share) + share * (1 << _BITS))


def _size(picture: Bytes, size: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width and height to which a picture is resized."""
    if "shortest_edge" not in size:
        return size["width"], size["height"]
    height, width = picture.shape[:2]
    short, long = min(height, width), max(height, width)
    longer = int(size["shortest_edge"] * long / short)
    return (longer, size["shortest_edge"]) if width > height else (size["shortest_edge"], longer)


def _centre(picture: Bytes, height: int, width: int) -> Bytes:
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
