"""The pixels that exact answers begin with are those of the processors' definition."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.exact import pixels
from tests.exact.pixels import Bytes

SIZES = (
    ((64, 96), (224, 224)),  # larger
    ((40, 40), (40, 224)),  # in one direction
    ((1, 1), (224, 224)),
    ((300, 500), (224, 224)),  # smaller
    ((2, 400), (224, 100)),
)


def noise(height: int, width: int) -> Bytes:
    return np.random.default_rng(height + width).integers(
        0, 256, (height, width, 3), dtype=np.uint8
    )


def png(picture: Bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("resample", pixels.FILTERS)
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_it_resizes_as_pillow_does(
    before: tuple[int, int], after: tuple[int, int], resample: int
) -> None:
    picture = noise(*before)
    height, width = after
    expected = Image.fromarray(picture).resize((width, height), Image.Resampling(resample))
    assert np.array_equal(pixels.resized(picture, width, height, resample), np.asarray(expected))


@pytest.mark.parametrize(
    ("config", "box"),
    [
        ({"size": {"height": 8, "width": 4}, "resample": 2}, (0, 0, 4, 8)),
        (
            {
                "size": {"shortest_edge": 8},
                "resample": 3,
                "do_center_crop": True,
                "crop_size": {"height": 8, "width": 8},
            },
            (4, 0, 12, 8),
        ),
    ],
)
def test_the_pixels_are_those_of_the_processors_configuration(
    config: dict[str, object], box: tuple[int, int, int, int], tmp_path: Path
) -> None:
    picture = noise(16, 32)
    mean, deviation = [0.5, 0.25, 0.75], [0.5, 0.5, 0.25]
    numbers = {"rescale_factor": 1 / 255, "image_mean": mean, "image_std": deviation}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**config, **numbers}))
    size = (4, 8) if box[0] == 0 else (16, 8)
    filtered = Image.Resampling(int(str(config["resample"])))
    shown = np.asarray(Image.fromarray(picture).resize(size, filtered).crop(box)) / 255
    expected = np.moveaxis((shown - np.array(mean)) / np.array(deviation), -1, 0)
    found = pixels.pixels(png(picture), tmp_path)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-12


def test_patches_go_row_by_row_and_channel_by_channel() -> None:
    image = np.arange(2 * 4 * 6, dtype=np.float64).reshape(2, 4, 6)
    cut = pixels.patches(image, 2)
    assert cut.shape == (6, 8)
    assert cut[0].tolist() == [0, 1, 6, 7, 24, 25, 30, 31]
    assert cut[1].tolist() == [2, 3, 8, 9, 26, 27, 32, 33]
    assert cut[3].tolist() == [12, 13, 18, 19, 36, 37, 42, 43]
