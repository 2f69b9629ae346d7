"""The nomic backend with its real libraries, in one process without network: they take seconds."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builders import fixture
from tests.system import on_host
from tests.system.spoiling import Spoil, keys, tensors, write
from tests.unit.service.tiny_model import write_recipe

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
PICTURES = ROOT / "tests" / "corpus" / "images"
LIMIT = 64
SECONDS = 300

PROGRAM = """
import json, socket, sys
from pathlib import Path
import numpy as np

def no_network(*_):
    raise AssertionError("the network was asked for")

socket.socket.connect = no_network
socket.getaddrinfo = no_network

import backend
from embedding_service import contract, recipe
from embedding_service import self_check
from embedding_service.errors import EmbeddingError, InputError, StartError
from embedding_service.inputs import Image
from embedding_service.settings import Settings

models, pictures = map(Path, sys.argv[1:])
settings = Settings.from_environment({"EMBEDDING_THREADS": "1"})

def load(directory):
    model = contract.load(directory, recipe.read(directory), backend.Backend, settings)
    return lambda *given: contract.embed(model, recipe.read(directory), given)

def refusal(directory):
    try:
        load(directory)(*(self_check.INPUTS[kind] for kind in recipe.read(directory).inputs))
    except (EmbeddingError, StartError) as error:
        return str(error)
    return "loaded"

def refused(*given):
    try:
        embed(*given)
    except InputError as error:
        return [type(error).__name__, error.index]

def furthest(a, b):
    return float(abs(a - b).max())

found = {directory.name: refusal(directory) for directory in sorted(models.iterdir())}
embed = load(models / "sound")
gradient, wide, pixel = (
    Image(content=(pictures / f"{name}.png").read_bytes()) for name in ("gradient", "wide", "pixel")
)
mixed = ["the ferry", gradient, "", wide, pixel, "dog bites man"]
vectors = embed(*mixed)
alone = np.concatenate([embed(each) for each in mixed])
words = "the " * 62
print(json.dumps({
    "refusals": found,
    "kind": [str(vectors.dtype), *vectors.shape],
    "batch": furthest(vectors, alone),
    "apart": float(min(np.linalg.norm(a - b) for i, a in enumerate(alone) for b in alone[:i])),
    "longest": bool(np.isfinite(embed(words)).all()),
    "refused": [
        refused(gradient, "ferry", words + "the"),
        refused("ferry", gradient, Image(content=b"no image"), "ferry"),
    ],
    "texts": furthest(load(models / "texts-alone")("the ferry"), vectors[:1]),
    "images": furthest(load(models / "images-alone")(gradient), vectors[1:2]),
    "pooler": furthest(load(models / "pooler")("the ferry"), vectors[:1]),
}))
"""

POOLER = b"""

class WithPooler(FixtureNomicTextModel):
    def __init__(self, config: FixtureNomicConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        if add_pooling_layer:
            self.pooler = nn.Linear(config.n_embd, config.n_embd)
"""


def with_pooler(directory: Path) -> None:
    code = directory / "code" / "modeling_fixture_nomic.py"
    write(code, code.read_bytes() + POOLER)
    keys("text/config.json", auto_map={"AutoModel": "modeling_fixture_nomic.WithPooler"})(directory)


NORM = "layers.1.norm2.weight"
MODULE = "somebody/else--modeling_other.Model"
BAD: Mapping[str, tuple[Spoil, str]] = {
    "code-elsewhere": (
        keys("text/config.json", auto_map={"AutoModel": MODULE}),
        f"wants the code {MODULE}, and the model has no code/modeling_other.py",
    ),
    "code-nowhere": (keys("text/config.json", auto_map={}), "its auto_map has no AutoModel"),
    "tensor-missing": (
        tensors(lambda tensors: tensors.pop(NORM), "text/model.safetensors"),
        f"missing: {NORM}",
    ),
    "tensor-unexpected": (
        tensors(lambda all_: all_.update(extra=all_[NORM]), "vision/model.safetensors"),
        "unexpected: extra",
    ),
    "tensor-reshaped": (
        tensors(lambda all_: all_.update({NORM: all_[NORM][:-1]}), "vision/model.safetensors"),
        f"size mismatch for {NORM}",
    ),
    # Weights of one revision and code of another: each shape is right, a layer would be random.
    "layer-missing": (keys("text/config.json", n_layer=3), "missing: layers.2."),
    "pickle-beside": (
        lambda directory: write(directory / "text" / "pytorch_model.bin", pickle.dumps({})),
        "holds pytorch_model.bin: pickles",
    ),
    "pickle-instead": (
        lambda directory: write(directory / "vision" / "model.safetensors", pickle.dumps({})),
        "SafetensorError",
    ),
    "positions-that-move": (
        keys("text/config.json", rotary_scaling_factor=2, max_trained_positions=LIMIT - 1),
        f"beyond {LIMIT - 1}, its code changes the vectors of all texts that follow",
    ),
    "another-processor": (
        keys("preprocessor_config.json", image_processor_type="CLIPImageProcessorFast"),
        "asks for the processor CLIPImageProcessorFast",
    ),
}
"""What is wrong with a model, and what its refusal says."""


@pytest.fixture(scope="module")
def python() -> Path:
    return on_host.interpreter("nomic")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound model and its variants, a directory each."""
    folder = tmp_path_factory.mktemp("nomic") / "models"
    fixture.write("fixture-nomic", "remote-code", folder / "sound")

    def variant(name: str, change: Spoil, **recipe: object) -> None:
        if name != "sound":
            shutil.copytree(folder / "sound", folder / name, copy_function=os.link)
        change(folder / name)
        (folder / name / "model.json").unlink(missing_ok=True)
        usual: dict[str, object] = {"dimension": 768, "max_tokens": LIMIT, "prompts": {}}
        kinds = {"format": "remote-code", "inputs": ["text", "image"]}
        write_recipe(folder / name, **(usual | kinds | recipe))

    variant("sound", lambda _: None)
    for name, (change, _) in BAD.items():
        variant(name, change)
    variant("pooler", with_pooler)
    variant("dimension", lambda _: None, dimension=384)
    variant(
        "texts-alone",
        lambda directory: shutil.rmtree(directory / "vision"),
        inputs=["text"],
    )
    variant("images-alone", lambda directory: shutil.rmtree(directory / "text"), inputs=["image"])
    variant("code-altered", lambda _: None)
    code = folder / "code-altered" / "code" / "configuration_fixture_nomic.py"
    write(code, code.read_bytes() + b"\n")
    return folder


@pytest.fixture(scope="module")
def found(python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program has printed: one JSON document, and nothing else; it has written nothing."""
    home = tmp_path_factory.mktemp("home")
    before = sorted(models.rglob("*"))
    ended = subprocess.run(
        [str(python), "-c", PROGRAM, str(models), str(PICTURES)],
        env={
            "HOME": str(home),
            "TMPDIR": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{IMAGES / 'service'}{os.pathsep}{IMAGES / 'nomic'}",
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert list(home.iterdir()) == []
    written = set(models.rglob("*")) - set(before)
    assert written == set()
    parsed: dict[str, Any] = json.loads(ended.stdout)
    return parsed


@pytest.mark.parametrize("name", BAD)
def test_a_model_that_is_not_what_it_should_be_is_refused(found: dict[str, Any], name: str) -> None:
    assert BAD[name][1] in found["refusals"][name]


def test_code_that_is_altered_by_a_byte_is_refused(found: dict[str, Any]) -> None:
    assert "configuration_fixture_nomic.py is altered" in found["refusals"]["code-altered"]


def test_vectors_of_another_dimension_than_declared_are_refused(found: dict[str, Any]) -> None:
    assert "its recipe declares float32 of shape (2, 384)" in found["refusals"]["dimension"]


def test_a_sound_model_gives_vectors_of_texts_and_images_in_their_order(
    found: dict[str, Any],
) -> None:
    assert found["refusals"]["sound"] == "loaded"
    assert found["kind"] == ["float32", 6, 768]
    assert found["batch"] < 1e-6
    assert found["apart"] > 0.05


def test_one_of_the_encoders_can_be_served_alone(found: dict[str, Any]) -> None:
    assert found["texts"] < 1e-6
    assert found["images"] < 1e-6


def test_a_pooler_that_the_weights_have_not_is_left_out(found: dict[str, Any]) -> None:
    assert found["refusals"]["pooler"] == "loaded"
    assert found["pooler"] < 1e-6


def test_an_input_is_refused_by_its_own_place_among_the_others(found: dict[str, Any]) -> None:
    assert found["longest"]
    assert found["refused"] == [["TooLongError", 2], ["ImageError", 2]]
