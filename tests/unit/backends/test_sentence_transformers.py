"""What can be said of the backend without torch: tests/system has the rest."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from embedding_service import recipe as recipes
from embedding_service import weights
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from tests.unit.backends import backend_module
from tests.unit.service.tiny_model import write_model, write_recipe

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "1"})
OLD = "sentence_transformers.models."
NEW = "sentence_transformers.base.modules.transformer."


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    return backend_module.load("sentence-transformers")


def listed(*types: str) -> list[dict[str, Any]]:
    """Return modules.json with modules of these types, the encoder in the directory itself."""
    return [
        {"idx": index, "name": str(index), "path": f"{index}_x" if index else "", "type": kind}
        for index, kind in enumerate(types)
    ]


def found(backend: ModuleType, folder: Path, document: object, **recipe: Any) -> Any:
    if document is not None:
        (folder / "modules.json").write_text(json.dumps(document))
        for module in document if isinstance(document, list) else []:
            if module["type"].endswith(".Dense"):
                dense(folder / module["path"])
    write_recipe(folder, **recipe)
    return backend.modules(folder, recipes.read(folder))


def dense(folder: Path, **configuration: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(configuration))


def test_with_the_module_no_library_is_imported(backend: ModuleType) -> None:
    assert "torch" in backend.Backend.libraries
    assert not {"torch", "transformers", "sentence_transformers"} & sys.modules.keys()


@pytest.mark.parametrize(
    ("types", "recipe", "expected"),
    [
        ([f"{OLD}Transformer", f"{OLD}Pooling"], {}, [("Pooling", "1_x")]),
        ([f"{NEW}Transformer", f"{OLD}Pooling", f"{OLD}Normalize"], {}, [("Pooling", "1_x")]),
        (
            [f"{OLD}Transformer", f"{OLD}Pooling", f"{OLD}Dense", f"{OLD}Dense", f"{OLD}Normalize"],
            {"dense_layers": True},
            [("Pooling", "1_x"), ("Dense", "2_x"), ("Dense", "3_x")],
        ),
        ([f"{OLD}Transformer"], {}, [("Pooling", "")]),
    ],
)
def test_what_comes_after_the_encoder(
    types: Sequence[str],
    recipe: dict[str, Any],
    expected: list[tuple[str, str]],
    *,
    backend: ModuleType,
    tmp_path: Path,
) -> None:
    assert found(backend, tmp_path, listed(*types), **recipe) == expected


def test_a_directory_without_modules_is_an_encoder(backend: ModuleType, tmp_path: Path) -> None:
    assert found(backend, tmp_path, None) == [("Pooling", "")]


@pytest.mark.parametrize(
    ("types", "recipe", "said"),
    [
        (["custom_st.Transformer", f"{OLD}Pooling"], {}, "never run: custom_st.Transformer in"),
        ([f"{OLD}Transformer", "my.Pooling"], {}, r"never run: my\.Pooling in modules\.json"),
        ([f"{OLD}Transformer", f"{OLD}WordWeights"], {}, r"asks for .*WordWeights; known are"),
        ([f"{OLD}Pooling", f"{OLD}Transformer"], {}, "must be a Transformer in the directory"),
        ([f"{OLD}Transformer", f"{OLD}Dense"], {"dense_layers": True}, "must be a Transformer"),
        (
            [f"{OLD}Transformer", f"{OLD}Pooling", f"{OLD}Normalize", f"{OLD}Dense"],
            {"dense_layers": True},
            "Normalize at the end if at all",
        ),
        (
            [f"{OLD}Transformer", f"{OLD}Pooling", f"{OLD}Normalize"],
            {"normalize": False},
            "normalises, the recipe of tiny does not",
        ),
        (
            [f"{OLD}Transformer", f"{OLD}Pooling", f"{OLD}Dense"],
            {},
            "has dense layers, the recipe of tiny claims none",
        ),
        (
            [f"{OLD}Transformer", f"{OLD}Pooling"],
            {"dense_layers": True},
            "has no dense layers, the recipe of tiny claims some",
        ),
    ],
)
def test_modules_that_are_refused(
    types: Sequence[str],
    recipe: dict[str, Any],
    said: str,
    *,
    backend: ModuleType,
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelError, match=said):
        found(backend, tmp_path, listed(*types), **recipe)


def test_an_encoder_elsewhere_is_refused(backend: ModuleType, tmp_path: Path) -> None:
    moved = [{**listed(f"{OLD}Transformer")[0], "path": "0_Transformer"}]
    with pytest.raises(ModelError, match="must be a Transformer in the directory itself"):
        found(backend, tmp_path, moved)


@pytest.mark.parametrize(
    "activation",
    [
        "torch.nn.modules.activation.Tanh",
        "torch.nn.modules.linear.Identity",
        "torch.nn.Identity",
        None,
    ],
)
def test_an_activation_of_torch_is_taken(
    activation: str | None, backend: ModuleType, tmp_path: Path
) -> None:
    assert activated(backend, tmp_path, activation) == [("Pooling", "1_x"), ("Dense", "2_x")]


@pytest.mark.parametrize(
    "activation",
    [
        "custom_st.Activation",
        "os.abort",
        "torch.hub.list",
        "torch.nn.utils.Tanh",
        "torch.nn.modules.activation.warnings",
        "torch.nn",
        "",
    ],
)
def test_an_activation_that_is_not_torchs_is_refused(
    activation: str, backend: ModuleType, tmp_path: Path
) -> None:
    said = rf"2_x/config\.json wants code of its own, which is never run: {re.escape(activation)}$"
    with pytest.raises(ModelError, match=said):
        activated(backend, tmp_path, activation)


def activated(backend: ModuleType, folder: Path, activation: str | None) -> Any:
    """Return what comes after an encoder whose dense layer has an activation."""
    document = listed(f"{OLD}Transformer", f"{OLD}Pooling", f"{OLD}Dense")
    (folder / "modules.json").write_text(json.dumps(document))
    dense(folder / "2_x", **({"activation_function": activation} if activation is not None else {}))
    write_recipe(folder, dense_layers=True)
    return backend.modules(folder, recipes.read(folder))


def test_a_dense_layer_without_a_configuration_is_refused(
    backend: ModuleType, tmp_path: Path
) -> None:
    document = listed(f"{OLD}Transformer", f"{OLD}Pooling", f"{OLD}Dense")
    (tmp_path / "modules.json").write_text(json.dumps(document))
    write_recipe(tmp_path, dense_layers=True)
    with pytest.raises(ModelError, match=r"2_x/config\.json cannot be read"):
        backend.modules(tmp_path, recipes.read(tmp_path))


def test_modules_that_cannot_be_read_are_refused(backend: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[")
    with pytest.raises(ModelError, match=r"modules\.json cannot be read"):
        found(backend, tmp_path, None)


def test_another_format_is_refused(backend: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes models in its own format, not onnx"):
        backend.Backend.load(write_model(tmp_path), SETTINGS)


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "2_Dense/model.pt", "scaler.pkl"])
def test_a_pickle_is_refused_wherever_it_is(
    pickle: str, backend: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / pickle).parent.mkdir(exist_ok=True)
    (tmp_path / pickle).touch()
    (tmp_path / "model.safetensors").touch()
    write_recipe(tmp_path, format="sentence-transformers")
    with pytest.raises(ModelError, match=f"holds {re.escape(pickle)}: pickles"):
        backend.Backend.load(tmp_path, SETTINGS)


def test_a_directory_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no model\.safetensors or model\.safetensors\.index"):
        weights.refuse_pickles(tmp_path)
    (tmp_path / "model.safetensors.index.json").touch()
    weights.refuse_pickles(tmp_path)


def test_tensors_are_named_that_are_missing_or_unexpected(
    backend: ModuleType, tmp_path: Path
) -> None:
    def check(missing: Sequence[str] = (), unexpected: Sequence[str] = ()) -> None:
        weights.refuse_random(
            tmp_path,
            missing=missing,
            unexpected=unexpected,
            without=backend._POOLER,
            unused=backend._UNUSED,
        )

    check(["pooler.dense.weight"], ["pooler.dense.bias", "cls.predictions.bias"])
    check([], ["embeddings.position_ids", "lm_head.weight"])
    with pytest.raises(ModelError, match=r"class; missing: cls\.x$"):
        check(["cls.x", "pooler.dense.bias"])
    with pytest.raises(ModelError, match=r"missing: a; unexpected: layer\.7\.pooler\.weight$"):
        check(["a"], ["layer.7.pooler.weight"])
    with pytest.raises(ModelError, match=r"unexpected: 0, 1, 2, 3, 4 and 3 more$"):
        check([], [str(number) for number in range(8)])


def test_names_that_the_class_does_not_read_must_say_what_it_takes(backend: ModuleType) -> None:
    read = {"num_attention_heads": 12, "rope_theta": 1000.0, "hidden_size": 768}
    original = {"n_head": 12, "rotary_emb_base": 1000, "n_embd": 768, "n_positions": 8192}
    assert backend.foreign(original, read) == ""
    assert backend.foreign({"n_head": 16, "num_attention_heads": 12}, read) == ""
    assert backend.foreign({"rotary_scaling_factor": None, "prenorm": False}, {}) == ""
    assert backend.foreign({"rotary_scaling_factor": 2}, {}) == (
        "rotary_scaling_factor is 2, and rotary_scaling_factor is taken to be None"
    )
    assert backend.foreign({**original, "n_head": 16, "rotary_emb_base": 10000}, read) == (
        "n_head is 16, and num_attention_heads is taken to be 12; "
        "rotary_emb_base is 10000, and rope_theta is taken to be 1000.0"
    )
