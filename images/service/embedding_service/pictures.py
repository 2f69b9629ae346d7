"""Pictures: from the bytes of an uploaded file to the pixels that a model is given.

What is done with each kind of file, and why, is written in docs/images-input.md.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from embedding_service.errors import ImageError, ImageTooLargeError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""The only decoders that are tried: each further one is code that strangers' bytes reach."""

MOST_PIXELS = 50_000_000
"""Of an image: 200 MB as Pillow keeps it. (A telephone's largest have 48 to 50 million.)"""

LONGEST_SIDE = 65_535
"""Pixels; as in JPEG. To shrink a longer one takes tables that grow with it, to gigabytes."""

_BACKGROUND = "white"

_ORIENTATION = 0x0112
"""The EXIF tag: 1 is upright, 2 to 8 are the rotations and reflections of `_upright`."""


def decoded(content: bytes, *, index: int) -> Picture:
    """Return an image file's first picture, upright, as opaque RGB.

    Args:
        content: The file.
        index: Which of the inputs it is, from 0.

    Raises:
        ImageError: It is not one of the formats, or not whole.
        ImageTooLargeError: It has too many pixels, or too long a side.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 -- only backends for images have it

    try:
        with warnings.catch_warnings():
            # The limit here is lower than that of PIL's warning; what PIL finds odd, and reads all
            # the same, is nothing for the log.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _refuse_large(picture.size, index)
                picture.load()
                return _upright(_opaque(_eight_bits(picture)), picture.getexif().get(_ORIENTATION))
    except UnidentifiedImageError as error:
        raise ImageError(f"the image is none of {', '.join(FORMATS)}", index=index) from error
    except Image.DecompressionBombError as error:
        raise _too_large(index) from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        # Decoders meet broken files with whatever they stumble on: OSError, SyntaxError,
        # ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, zlib.error.
        raise ImageError("the image is broken or cut off", index=index) from error


def _refuse_large(size: tuple[int, int], index: int) -> None:
    width, height = size
    if width * height > MOST_PIXELS or max(size) > LONGEST_SIDE:
        raise _too_large(index)


def _too_large(index: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"the image has more than {MOST_PIXELS} pixels, or a side of more than {LONGEST_SIDE}",
        index=index,
    )


def _eight_bits(picture: Picture) -> Picture:
    """Return a grey picture of 16 bits as one of 8: the upper half of each number.

    PIL's own conversion clips instead: nearly all would be white. (It reads 16 bits of colour as
    their upper halves by itself.)
    """
    if not picture.mode.startswith("I"):
        return picture
    from PIL import Image  # noqa: PLC0415 -- see `decoded`

    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def _opaque(picture: Picture) -> Picture:
    """Return the picture as it looks on a white page."""
    # A conversion that changes nothing would be a copy, and pictures can be large.
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    from PIL import Image  # noqa: PLC0415 -- see `decoded`

    shown = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    page = Image.new("RGB", shown.size, _BACKGROUND)
    page.paste(shown, mask=shown)
    return page


def _upright(picture: Picture, orientation: object) -> Picture:
    """Turn the picture as EXIF says that it was taken; a number without meaning turns nothing.

    (`ImageOps.exif_transpose` also writes the rest of the EXIF anew, and fails where that is odd.)
    """
    from PIL.Image import Transpose  # noqa: PLC0415 -- see `decoded`

    turns = (
        *(Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM),
        *(Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90),
    )
    if isinstance(orientation, int) and 0 <= orientation - 2 < len(turns):
        return picture.transpose(turns[orientation - 2])
    return picture
