"""The sentence-transformers backend with torch: what it makes of models, and which it refuses.

Importing takes far longer than loading a fixture: the cases are made first, and one process loads
them all, each by itself.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from builders import fixture
from builders.fixture import safetensors
from tests.system import on_host
from tests.system.spoiling import Spoil, Tensors, keys, pickled, tensors, write
from tests.unit.service.tiny_model import write_recipe

BACKEND = "sentence-transformers"
FIXTURE = fixture.fixture("fixture-bert-384")
NOMIC = fixture.fixture("fixture-768")

PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
import backend
from embedding_service import contract, recipe
from embedding_service.errors import InputError, ModelError
from embedding_service.settings import Settings
settings = Settings.from_environment({"EMBEDDING_THREADS": "1"})
answers = {}
for directory in sorted(Path(sys.argv[1]).iterdir()):
    try:
        model = contract.load(directory, recipe.read(directory), backend.Backend, settings)
        embed = lambda *texts: contract.embed(model, recipe.read(directory), texts)
        vectors = embed("the quick fox", "of")
        answer = {"vectors": vectors.tolist(), "alone": embed("of").tolist()}
        try:
            embed("fine", "of " * 600)
        except InputError as error:
            answer["too long"] = [type(error).__name__, error.index]
        model.close()
    except ModelError as error:
        answer = {"refused": str(error)}
    answers[directory.name] = answer
from sentence_transformers import SentenceTransformer
library = SentenceTransformer(sys.argv[1] + "/as-it-is", device="cpu", local_files_only=True)
answers["library"] = {"vectors": library.encode(["the quick fox", "of"]).tolist()}
Path(sys.argv[2]).write_text(json.dumps(answers))
"""

Recipe = Mapping[str, Any]
OF_NOMIC = {"dimension": 768, "max_tokens": 2048, "pooling": "mean"}


def dense(activation: str) -> Spoil:
    """Return what puts a dense layer behind the pooling; its numbers are those of the identity."""

    def spoil(model: Path) -> None:
        path = model / "modules.json"
        transformer, pooling, *others = json.loads(path.read_bytes())
        kind = pooling["type"].replace("Pooling", "Dense")
        own = {"idx": 2, "name": "2", "path": "2_Dense", "type": kind}
        write(path, json.dumps([transformer, pooling, own, *others]).encode())
        (model / "2_Dense").mkdir()
        configuration = {
            "in_features": 384,
            "out_features": 384,
            "bias": False,
            "activation_function": activation,
        }
        write(model / "2_Dense" / "config.json", json.dumps(configuration).encode())
        identity = {"linear.weight": np.eye(384, dtype=np.float32)}
        weights = b"".join(safetensors.chunks(identity))
        write(model / "2_Dense" / "model.safetensors", weights)

    return spoil


def more_tokens(model: Path) -> None:
    """Let the tokenizer know a token that the model has no row for."""
    path = str(model / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.add_tokens(["xyzzy"])
    Path(path).unlink()
    tokenizer.save(path)


def renamed(content: Tensors) -> None:
    """Give the tensors the names of a pre-trained BERT, its heads and an old export's positions."""
    for name in list(content):
        content[f"bert.{name}"] = content.pop(name)
    content["cls.predictions.bias"] = np.zeros(4, dtype=np.float32)
    content["bert.embeddings.position_ids"] = np.arange(512, dtype=np.float32)


def original(model: Path) -> None:
    """Give a nomic_bert the names, and the code, that nomic-embed-text-v1.5 was published with."""
    tensors(original_names)(model)
    keys(
        "config.json",
        auto_map={"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"},
        n_embd=768,
        n_head=12,
        n_layer=2,
        n_inner=256,
        n_positions=8192,
        rotary_emb_base=1000,
        rotary_emb_fraction=1.0,
    )(model)


def original_names(content: Tensors) -> None:
    for layer in ("layers.0", "layers.1"):
        parts = [content.pop(f"{layer}.self_attn.{part}_proj.weight") for part in "qkv"]
        content[f"{layer}.attn.Wqkv.weight"] = np.concatenate(parts)
    for name in list(content):
        old = name
        for own, theirs in (
            ("embeddings.LayerNorm", "emb_ln"),
            ("self_attn.o_proj", "attn.out_proj"),
            ("mlp.up_proj", "mlp.fc11"),
            ("mlp.gate_proj", "mlp.fc12"),
            ("mlp.down_proj", "mlp.fc2"),
            ("post_attention_layernorm", "norm1"),
            ("post_mlp_layernorm", "norm2"),
            ("layers.", "encoder.layers."),
        ):
            old = old.replace(own, theirs)
        content[old] = content.pop(name)


WEIGHT = "encoder.layer.1.output.dense.weight"
POOLER = "pooler.dense.bias"

SOUND: Mapping[str, Spoil] = {
    "as-it-is": lambda _: None,
    "of-a-pre-trained-bert": tensors(renamed),
    "without-a-pooler": tensors(
        lambda content: [content.pop(name) for name in list(content) if name.startswith("pooler")]
    ),
    "without-modules": lambda model: (model / "modules.json").unlink(),
}
"""Directories that give the same vectors."""

BAD: Mapping[str, tuple[Spoil, Recipe, str]] = {
    "pickle": (pickled, {}, "holds pytorch_model.bin: pickles, which run code"),
    "missing-tensor": (tensors(lambda content: content.pop(WEIGHT)), {}, f"missing: {WEIGHT}"),
    "unexpected-tensor": (
        tensors(lambda content: content.update({"encoder.layer.2.x": content[WEIGHT]})),
        {},
        "unexpected: encoder.layer.2.x",
    ),
    "tensor-of-another-shape": (
        tensors(lambda content: content.update({WEIGHT: content[WEIGHT][:, :-1].copy()})),
        {},
        "cannot load",
    ),
    "remote-code": (
        keys("config.json", model_type="made_up", auto_map={"AutoModel": "code.Model"}),
        {},
        "wants code of its own, which is never run, and is of the type made_up",
    ),
    "unknown-type": (keys("config.json", model_type="made_up"), {}, "is of the type made_up"),
    "names-of-other-code": (
        keys(
            "config.json",
            auto_map={"AutoModel": "code.Model"},
            layer_norm_epsilon=1e-5,
            layer_norm_eps=None,
        ),
        {},
        "config.json says otherwise than its class reads",
    ),
    "other-dimension": (lambda _: None, {"dimension": 768}, "have 384 dimensions; the recipe"),
    "other-pooling": (lambda _: None, {"pooling": "mean"}, "pools by cls, the recipe of tiny by"),
    "too-few-positions": (lambda _: None, {"max_tokens": 513}, "has positions for 512"),
    "too-few-rows": (keys("config.json", vocab_size=100), {}, "cannot load"),
    "too-many-tokens": (more_tokens, {}, "its config.json has rows for"),
    "activation-of-its-own": (
        dense("custom_st.Activation"),
        {"dense_layers": True},
        "wants code of its own, which is never run: custom_st.Activation",
    ),
    "prompt-left-out": (
        keys("1_Pooling/config.json", include_prompt=False),
        {},
        "leaves the prompt",
    ),
}
"""Directories that are refused: what is wrong, what their recipe says, and what is said of it."""


@pytest.fixture(scope="module")
def python() -> Path:
    return on_host.interpreter(BACKEND)


@pytest.fixture(scope="module")
def answers(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the backend makes of each directory."""
    folder = tmp_path_factory.mktemp("sentence-transformers")
    for made in (FIXTURE, NOMIC):
        fixture.write(made.name, "sentence-transformers", folder / made.name)
    cases: dict[str, tuple[Spoil, Recipe]] = {
        **{name: (spoil, {}) for name, spoil in SOUND.items()},
        **{name: (spoil, recipe) for name, (spoil, recipe, _) in BAD.items()},
        "not-normalised": (SOUND["without-modules"], {"normalize": False}),
        "identity": (dense("torch.nn.modules.linear.Identity"), {"dense_layers": True}),
        "tanh": (dense("torch.nn.modules.activation.Tanh"), {"dense_layers": True}),
        "nomic": (lambda _: None, OF_NOMIC),
        "nomic-original": (original, {**OF_NOMIC, "max_tokens": 8192}),
    }
    for name, (spoil, recipe) in cases.items():
        model = folder / "models" / name
        written = NOMIC.name if name.startswith("nomic") else FIXTURE.name
        shutil.copytree(folder / written, model, copy_function=os.link)
        spoil(model)
        own = {"dimension": 384, "max_tokens": 512, "pooling": "cls", "format": BACKEND}
        write_recipe(model, **{**own, **recipe})
    words = ("-c", PROGRAM, folder / "models", folder / "answers.json")
    on_host.run(python, *words, backend=BACKEND, scratch=folder)
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text())
    assert found.keys() == {*cases, "library"}
    return found


def vectors(answer: dict[str, Any], key: str = "vectors") -> NDArray[np.float64]:
    assert key in answer, answer
    return np.asarray(answer[key])


@pytest.mark.parametrize("name", SOUND)
def test_what_the_vectors_do_not_depend_on_changes_nothing(
    name: str, answers: dict[str, Any]
) -> None:
    found = vectors(answers[name])
    assert found.shape == (2, 384)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found, vectors(answers["as-it-is"]), atol=1e-7)


def test_the_vectors_are_those_of_the_library(answers: dict[str, Any]) -> None:
    np.testing.assert_allclose(vectors(answers["as-it-is"]), vectors(answers["library"]), atol=1e-6)


def test_the_layout_of_nomic_bert_2048_is_read_without_its_code(answers: dict[str, Any]) -> None:
    found = vectors(answers["nomic-original"])
    assert found.shape == (2, 768)
    np.testing.assert_array_equal(found, vectors(answers["nomic"]))


def test_a_vector_does_not_depend_on_its_batch(answers: dict[str, Any]) -> None:
    answer = answers["as-it-is"]
    np.testing.assert_allclose(vectors(answer, "alone")[0], vectors(answer)[1], atol=1e-6)


def test_a_text_that_is_too_long_is_refused_and_not_cut(answers: dict[str, Any]) -> None:
    assert answers["as-it-is"]["too long"] == ["TooLongError", 1]


def test_the_recipe_decides_whether_vectors_are_normalised(answers: dict[str, Any]) -> None:
    found = vectors(answers["not-normalised"])
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    assert (lengths > 2).all()
    np.testing.assert_allclose(found / lengths, vectors(answers["as-it-is"]), atol=1e-6)


def test_a_dense_layer_and_its_activation_are_computed(answers: dict[str, Any]) -> None:
    np.testing.assert_allclose(
        vectors(answers["identity"]), vectors(answers["as-it-is"]), atol=1e-6
    )
    squashed = np.tanh(vectors(answers["not-normalised"]))
    squashed /= np.linalg.norm(squashed, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(answers["tanh"]), squashed, atol=1e-6)
    assert abs(squashed - vectors(answers["as-it-is"])).max() > 1e-3


@pytest.mark.parametrize("name", BAD)
def test_a_model_that_is_not_what_it_should_be_is_refused(
    name: str, answers: dict[str, Any]
) -> None:
    assert BAD[name][2] in answers[name].get("refused", answers[name])
