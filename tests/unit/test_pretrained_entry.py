"""A model's entry is written by reading and hashing it, and the rest of matrix.yaml stays."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import matrix
from builders.errors import MatrixError, ModelError
from builders.paths import ROOT
from builders.pretrained import description, entry
from builders.pretrained.description import Description, Pooling
from builders.pretrained.hub import Hub
from builders.pretrained.place import place
from tests.unit import hub_server
from tests.unit.checkpoints import BERT, NOMIC, change_config, directory, original_nomic
from tests.unit.hub_server import COMMIT, HubServer

COMMITTED = ROOT / "tests" / "unit" / "matrix.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with a matrix.yaml, and a model below it."""
    shutil.copy(COMMITTED, tmp_path / "matrix.yaml")
    directory(NOMIC, tmp_path / "models" / "My Model")
    return tmp_path


@pytest.fixture
def model(root: Path) -> Path:
    return root / "models" / "My Model"


def described(
    word: Path | str,
    root: Path,
    *,
    hub: Hub | None = None,
    name: str | None = None,
    pooling: Pooling | None = None,
) -> Description:
    found = place(str(word), root=root, hub=hub or Hub())
    return description.describe(found, name=name, pooling=pooling)


def without(path: Path, *keys: str) -> None:
    """Take keys out of a JSON file."""
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({k: v for k, v in document.items() if k not in keys}), "utf-8")


def test_a_directory_is_described_by_its_own_files(root: Path, model: Path) -> None:
    (model / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n", "utf-8")
    found = described(model, root)

    assert (found.name, found.source) == ("my-model", "file:models/My Model")
    assert (found.licence, found.notes) == ("Apache-2.0", ())
    assert (found.dimension, found.max_tokens) == (768, 2048)
    assert (found.pooling, found.normalize, found.dense_layers) == ("mean", True, False)
    assert found.prompts["query"] == "search_query: "
    assert found.default_prompt is None
    assert found.formats == ("onnx", "sentence-transformers", "gguf")
    assert list(found.files) == ["model.safetensors", "config.json", "tokenizer.json"]
    for name, content in found.files.items():
        assert content.sha256 == hashlib.sha256((model / name).read_bytes()).hexdigest()
        assert content.size == (model / name).stat().st_size


def test_the_entry_is_added_below_the_models_and_nothing_else_changes(
    root: Path, model: Path
) -> None:
    path = root / "matrix.yaml"
    comment = "# Which cells run.\n"
    before = path.read_text("utf-8").replace("default:\n  models", f"\n{comment}default:\n  models")
    path.write_text(before, encoding="utf-8")
    found = described(model, root)

    entry.add(path, found)

    after = path.read_text("utf-8")
    assert after.replace(f"\n{entry.text(found)}", "", 1) == before
    assert f"{entry.text(found)}\n{comment}default:" in after
    written = matrix.load(path).models["my-model"]
    weights = found.files["model.safetensors"]
    assert written.weights == f"sha256:{weights.sha256}"
    assert written.files["model.safetensors"].size == weights.size
    assert written.prompts == found.prompts
    assert not list(root.glob(".*"))


@pytest.mark.parametrize(
    ("said", "shorter"), [([768, 64, 256, 64], (256, 64)), ([768], None), ("all", None)]
)
def test_the_lengths_that_a_configuration_names_are_written(
    root: Path, model: Path, said: object, shorter: tuple[int, ...] | None
) -> None:
    change_config(model, matryoshka_dimensions=said)
    entry.add(root / "matrix.yaml", described(model, root))
    written = matrix.load(root / "matrix.yaml").models["my-model"].matryoshka
    assert (written and (written.dimensions, written.layer_norm)) == (shorter and (shorter, False))


def test_a_name_that_is_taken_is_refused(root: Path, model: Path) -> None:
    found = described(model, root, name=NOMIC)
    with pytest.raises(ModelError, match=rf"a model {NOMIC} already\n.*--name"):
        entry.add(root / "matrix.yaml", found)


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("bge-small-en-v1.5", "bge-small-en-v1.5"),
        ("My  Model (new)", "my-model-new"),
        (".hidden_", "hidden"),
        ("a-.b", "a-b"),
    ],
)
def test_a_model_is_named_as_its_place_is(own: str, name: str, root: Path, model: Path) -> None:
    found = described(model.rename(model.with_name(own)), root)
    assert found.name == name
    entry.add(root / "matrix.yaml", found)


def test_a_name_of_which_nothing_is_left_is_asked_for(root: Path, model: Path) -> None:
    place = model.rename(model.with_name("模型"))
    with pytest.raises(ModelError, match=r"no key .* can be made of the name '模型'\n.*--name"):
        described(place, root)
    assert described(place, root, name="other").name == "other"


@pytest.mark.parametrize("own", ["a #1", "a: b", "größe", '"a"'])
def test_a_directory_s_name_comes_back_as_it_is(own: str, root: Path, model: Path) -> None:
    place = model.rename(model.with_name(own))
    entry.add(root / "matrix.yaml", described(place, root, name="other"))
    assert matrix.load(root / "matrix.yaml").models["other"].source == f"file:models/{own}"


def test_an_entry_that_does_not_load_is_not_written(root: Path, model: Path) -> None:
    before = (root / "matrix.yaml").read_bytes()
    with pytest.raises(MatrixError, match="Bad Name"):
        entry.add(root / "matrix.yaml", described(model, root, name="Bad Name"))
    assert (root / "matrix.yaml").read_bytes() == before
    assert not list(root.glob(".*"))


def test_models_that_are_no_block_are_refused() -> None:
    with pytest.raises(ModelError, match="no line `models:`"):
        entry.inserted("models: {}\n", "  x:\n")


def test_a_licence_that_no_card_names_is_not_open(root: Path, model: Path) -> None:
    found = described(model, root)
    assert found.licence == "LicenseRef-unknown"
    assert found.notes[0].startswith("LicenseRef-unknown is not open: images with these weights")
    (model / "README.md").write_text("---\nlicense: gemma\n---\n", "utf-8")
    assert described(model, root).licence == "LicenseRef-Gemma"


def test_a_directory_without_modules_has_to_be_told_how_it_pools(root: Path, model: Path) -> None:
    (model / "modules.json").unlink()
    with pytest.raises(ModelError, match="--pooling mean or --pooling cls"):
        described(model, root)
    assert described(model, root, pooling="cls").pooling == "cls"


def test_another_pooling_is_refused(root: Path, model: Path) -> None:
    path = model / "1_Pooling" / "config.json"
    path.write_text('{"pooling_mode_lasttoken": true}', encoding="utf-8")
    with pytest.raises(ModelError, match="it pools by pooling_mode_lasttoken"):
        described(model, root)


def test_the_newer_name_of_a_pooling_is_known(root: Path, model: Path) -> None:
    path = model / "1_Pooling" / "config.json"
    path.write_text('{"pooling_mode": "cls"}', encoding="utf-8")
    assert described(model, root).pooling == "cls"


def test_modules_without_a_pooling_are_refused(root: Path, model: Path) -> None:
    modules = json.loads((model / "modules.json").read_bytes())
    modules[1]["type"] = "sentence_transformers.models.WeightedLayerPooling"
    (model / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(ModelError, match=r"pools by none of the known modules: .*WeightedLayer"):
        described(model, root)


def test_a_file_that_is_not_json_is_named(root: Path, model: Path) -> None:
    (model / "sentence_bert_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"sentence_bert_config\.json: not JSON"):
        described(model, root)


def test_dense_layers_are_told_and_not_converted(root: Path, model: Path) -> None:
    modules = json.loads((model / "modules.json").read_bytes())
    modules.insert(2, {"type": "sentence_transformers.models.Dense", "path": "2_Dense"})
    (model / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (model / "2_Dense").mkdir()
    (model / "2_Dense" / "config.json").write_text('{"out_features": 512}', encoding="utf-8")
    (model / "2_Dense" / "model.safetensors").write_bytes(b"")
    found = described(model, root)

    assert (found.dense_layers, found.dimension) == (True, 512)
    assert found.formats == ("sentence-transformers",)
    assert "2_Dense/model.safetensors" in found.files
    assert found.notes[0] == "not converted to ONNX and GGUF: it has dense layers"


def test_another_architecture_is_taken_with_its_modules(root: Path, model: Path) -> None:
    change_config(model, model_type="mpnet")
    found = described(model, root)

    assert found.formats == ("sentence-transformers",)
    assert {"modules.json", "1_Pooling/config.json"} <= found.files.keys()
    assert "its architecture is mpnet" in found.notes[0]


def test_remote_code_is_refused_unless_the_architecture_is_known(root: Path, model: Path) -> None:
    change_config(model, model_type="own", auto_map={"AutoModel": "modeling.Own"})
    with pytest.raises(ModelError, match="Python code of its own"):
        described(model, root)

    original = original_nomic(root / "original")
    assert described(original, root).formats == ("onnx", "sentence-transformers", "gguf")


def test_a_pickle_in_the_place_of_safetensors_is_refused(root: Path, model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"a pickle \(pytorch_model\.bin\)"):
        described(model, root)
    (model / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        described(model, root)


def test_a_directory_without_a_tokenizer_is_refused(root: Path, model: Path) -> None:
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"it has no tokenizer\.json"):
        described(model, root)


def test_a_length_or_dimension_that_is_not_said_is_asked_for(root: Path, model: Path) -> None:
    change_config(model, model_type="mpnet")
    (model / "sentence_bert_config.json").unlink()
    without(model / "config.json", "max_position_embeddings")
    with pytest.raises(ModelError, match="how many tokens"):
        described(model, root)
    without(model / "config.json", "hidden_size")
    with pytest.raises(ModelError, match="how many numbers"):
        described(model, root)


@pytest.mark.parametrize("revision", ["main", "v1.5", "a5beb1e3"])
def test_a_moving_revision_is_refused_and_told_why(root: Path, revision: str) -> None:
    with pytest.raises(
        ModelError, match=rf"'{revision}' is a branch or a tag, which moves.*\n.*40"
    ):
        described(f"owner/model@{revision}", root)


@pytest.mark.parametrize("word", ["nowhere", "owner/model", "owner/model@"])
def test_what_is_neither_directory_nor_repository_is_refused(root: Path, word: str) -> None:
    with pytest.raises(ModelError, match="neither a directory nor OWNER/NAME@COMMIT"):
        described(word, root)


@pytest.fixture
def server(model: Path) -> Iterator[HubServer]:
    files = {
        path.relative_to(model).as_posix(): path.read_bytes()
        for path in model.rglob("*")
        if path.is_file()
    }
    with hub_server.running({"Owner/Model_v1.5": files}) as running:
        yield running


def test_a_repository_is_described_without_its_weights(
    root: Path, model: Path, server: HubServer
) -> None:
    hub = Hub(endpoint=server.endpoint, cache=root / "hub")
    found = described(f"Owner/Model_v1.5@{COMMIT}", root, hub=hub)
    local = described(model, root)

    assert (found.name, found.source) == ("model_v1.5", f"hub:Owner/Model_v1.5@{COMMIT}")
    assert found.files == local.files
    assert not [asked for asked in server.downloads() if "model.safetensors" in asked.path]
    entry.add(root / "matrix.yaml", found)
    assert BERT in matrix.load(root / "matrix.yaml").models
