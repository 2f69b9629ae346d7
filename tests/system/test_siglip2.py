"""The siglip2 backend with torch: texts and images in one batch, and which models it refuses.

Importing takes far longer than loading a fixture: the cases are made first, and one process loads
them all, each by itself. How right the vectors are is a check of every verdict (`tests/exact`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops

from builders import fixture
from builders.paths import ROOT
from tests.system import on_host
from tests.system.spoiling import Spoil, keys, pickled, tensors
from tests.unit.service.tiny_model import write_recipe

BACKEND = "siglip2"
IMAGES = ROOT / "tests" / "corpus" / "images"
FIXTURE = fixture.fixture("fixture-siglip")
GATE = 1e-4
"""The gate for float32 (matrix.yaml, `distance`)."""

PROGRAM = """
import json, sys
from pathlib import Path
import backend
from embedding_service import contract, recipe
from embedding_service.errors import InputError, ModelError
from embedding_service.inputs import Image
from embedding_service.settings import Settings
settings = Settings.from_environment({"EMBEDDING_THREADS": "1"})
images = [Image(content=Path(name).read_bytes()) for name in sys.argv[3:]]
mixed = ["the quick fox", images[0], "of", images[1], "OF"]

def refused(embed, *inputs):
    try:
        embed(*inputs)
    except InputError as error:
        return [type(error).__name__, error.index]

answers = {}
for directory in sorted(Path(sys.argv[1]).iterdir()):
    try:
        model = contract.load(directory, recipe.read(directory), backend.Backend, settings)
    except ModelError as error:
        answers[directory.name] = {"refused": str(error)}
        continue
    embed = lambda *inputs: contract.embed(model, recipe.read(directory), inputs)
    answers[directory.name] = {
        "vectors": embed(*mixed).tolist(),
        "alone": [embed(each)[0].tolist() for each in mixed],
        "images": [embed(each)[0].tolist() for each in images],
        "whole": embed("a" * 63).tolist(),
        "too long": refused(embed, images[0], "fine", "a" * 64, images[1]),
        "no image": refused(embed, "fine", images[0], Image(content=b"GIF89a")),
    }
    model.close()
Path(sys.argv[2]).write_text(json.dumps(answers))
"""

Recipe = Mapping[str, Any]
WEIGHT = "vision_model.head.attention.in_proj_weight"

BAD: Mapping[str, tuple[Spoil, Recipe, str]] = {
    "pickle": (pickled, {}, "holds pytorch_model.bin: pickles, which run code"),
    "missing-tensor": (tensors(lambda content: content.pop(WEIGHT)), {}, f"missing: {WEIGHT}"),
    "unexpected-tensor": (
        tensors(lambda content: content.update({"text_model.x": content[WEIGHT]})),
        {},
        "unexpected: text_model.x",
    ),
    "tensor-of-another-shape": (
        tensors(lambda content: content.update({WEIGHT: content[WEIGHT][:, :-1].copy()})),
        {},
        "cannot load",
    ),
    "remote-code": (
        keys("config.json", auto_map={"AutoModel": "code.Model"}),
        {},
        "wants code of its own, which is never run",
    ),
    "of-any-image-size": (keys("config.json", model_type="siglip2"), {}, "is of the type siglip2"),
    "other-dimension": (
        lambda _: None,
        {"dimension": 1152},
        "dimensions of a text's vector: 768 by config.json, 1152 by the recipe",
    ),
    "other-length": (
        lambda _: None,
        {"max_tokens": 32},
        "tokens of a text: 64 by config.json, 32 by the recipe",
    ),
    "other-image-size": (
        keys("preprocessor_config.json", size={"height": 384, "width": 384}),
        {},
        "makes images of 384 x 384 pixels",
    ),
    "no-processor": (
        lambda model: (model / "preprocessor_config.json").unlink(),
        {},
        "cannot load",
    ),
    "no-tokenizer": (lambda model: (model / "tokenizer.json").unlink(), {}, "no tokenizer.json"),
}
"""Directories that are refused: what is wrong, what their recipe says, and what is said of it."""


NAMES = ("rotated.jpg", "disc-alpha.png", "ramp-grey-16.png", "print-cmyk.jpg", "animated.gif")


def misread(folder: Path) -> Iterator[Path]:
    """Write each of these images as a careless decoder would read it."""
    for name in NAMES:
        with Image.open(IMAGES / name) as file:
            file.seek(getattr(file, "n_frames", 1) - 1)  # the last picture of an animation
            # Adobe's CMYK is inverted.
            picture = ImageChops.invert(file) if file.mode == "CMYK" else file
            # No EXIF, no alpha, and PIL's own conversion of 16 bits.
            picture.convert("RGB").save(folder / f"{name}.png", exif=b"")
        yield folder / f"{name}.png"


@pytest.fixture(scope="module")
def python() -> Path:
    return on_host.interpreter(BACKEND)


@pytest.fixture(scope="module")
def answers(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the backend makes of each directory."""
    folder = tmp_path_factory.mktemp("siglip2")
    fixture.write(FIXTURE.name, "transformers", folder / "written")
    cases: dict[str, tuple[Spoil, Recipe]] = {
        "as-it-is": (lambda _: None, {}),
        "not-normalised": (lambda _: None, {"normalize": False}),
        **{name: (spoil, recipe) for name, (spoil, recipe, _) in BAD.items()},
    }
    for name, (spoil, recipe) in cases.items():
        model = folder / "models" / name
        shutil.copytree(folder / "written", model, copy_function=os.link)
        spoil(model)
        own = {"dimension": 768, "max_tokens": 64, "pooling": "model", "format": "transformers"}
        write_recipe(model, **{**own, "inputs": ["text", "image"], **recipe})
    images = [*(IMAGES / name for name in NAMES), *misread(folder)]
    program = ("-W", "error", "-c", PROGRAM)
    places = (folder / "models", folder / "answers.json", *images)
    assert on_host.run(python, *program, *places, backend=BACKEND, scratch=folder) == ""
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text())
    assert found.keys() == cases.keys()
    return found


@pytest.fixture
def sound(answers: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = answers["as-it-is"]
    assert "refused" not in answer, answer
    return answer


def test_texts_and_images_come_out_in_their_order(sound: dict[str, Any]) -> None:
    found = np.asarray(sound["vectors"])
    assert found.shape == (5, 768)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    # Alone or in a batch, of one kind or of both: the same vector, in the same place.
    np.testing.assert_allclose(found, sound["alone"], atol=1e-6)
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)
    assert apart[~np.eye(5, dtype=bool)].tolist().count(0) == 2  # "of" and "OF", both ways
    assert apart[2, 4] == 0


def test_an_image_that_is_read_otherwise_is_far_off(sound: dict[str, Any]) -> None:
    found = np.asarray(sound["images"])
    right, wrong = np.split(found, 2)
    assert np.linalg.norm(right - wrong, axis=1).min() > 100 * GATE


def test_what_is_refused_is_named_by_its_place_among_all_inputs(sound: dict[str, Any]) -> None:
    assert sound["too long"] == ["TooLongError", 2]
    assert sound["no image"] == ["ImageError", 2]
    assert np.asarray(sound["whole"]).shape == (1, 768)


def test_the_recipe_decides_whether_vectors_are_normalised(
    answers: dict[str, Any], sound: dict[str, Any]
) -> None:
    found = np.asarray(answers["not-normalised"]["vectors"])
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    assert (lengths > 2).all()
    np.testing.assert_allclose(found / lengths, sound["vectors"], atol=1e-6)


@pytest.mark.parametrize("name", BAD)
def test_a_model_that_is_not_what_it_should_be_is_refused(
    name: str, answers: dict[str, Any]
) -> None:
    assert BAD[name][2] in answers[name].get("refused", answers[name])
