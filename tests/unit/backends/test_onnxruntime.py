from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from embedding_service.contract import Capabilities
from embedding_service.errors import ModelError
from embedding_service.settings import Settings
from tests.unit.backends import backend_module
from tests.unit.service.service_process import ONNXRUNTIME, environment
from tests.unit.service.tiny_model import embeddings, given, unit_mean, write_model

SETTINGS = Settings.from_environment({"EMBEDDING_THREADS": "2"})


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    return backend_module.load("onnxruntime")


def test_it_declares_what_it_can_do(backend: ModuleType, tmp_path: Path) -> None:
    model = backend.Backend.load(write_model(tmp_path), SETTINGS)
    assert model.capabilities == Capabilities(
        text=True, image=False, max_tokens=8, batching="padded"
    )


def test_mean_pooling_leaves_padding_out(backend: ModuleType, tmp_path: Path) -> None:
    model = backend.Backend.load(write_model(tmp_path), SETTINGS)
    vectors = model.embed(given(model.tokenizer, "alpha", "alpha beta gamma alpha", ""))
    assert vectors.dtype == np.float32
    expected = [
        unit_mean("[CLS]", "alpha", "[SEP]"),
        unit_mean("[CLS]", "alpha", "beta", "gamma", "alpha", "[SEP]"),
        unit_mean("[CLS]", "[SEP]"),
    ]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    model.close()


def test_a_vector_does_not_depend_on_its_batch(backend: ModuleType, tmp_path: Path) -> None:
    model = backend.Backend.load(write_model(tmp_path), SETTINGS)
    texts = given(model.tokenizer, "alpha", "beta gamma", "", "gamma gamma gamma")
    alone = np.concatenate([model.embed([text]) for text in texts])
    np.testing.assert_allclose(model.embed(texts), alone, atol=1e-7)


def test_cls_pooling_takes_the_first_token(backend: ModuleType, tmp_path: Path) -> None:
    model = backend.Backend.load(write_model(tmp_path, pooling="cls"), SETTINGS)
    vectors = model.embed(given(model.tokenizer, "alpha", "beta gamma"))
    np.testing.assert_allclose(vectors, [unit_mean("[CLS]")] * 2, atol=1e-6)


def test_normalisation_is_the_recipes_decision(backend: ModuleType, tmp_path: Path) -> None:
    model = backend.Backend.load(write_model(tmp_path, pooling="cls", normalize=False), SETTINGS)
    vectors = model.embed(given(model.tokenizer, "alpha"))
    np.testing.assert_allclose(vectors, embeddings()[[2]], atol=1e-6)


def test_only_the_inputs_that_the_graph_declares_are_fed(
    backend: ModuleType, tmp_path: Path
) -> None:
    model_dir = write_model(tmp_path, inputs=("input_ids", "attention_mask"))
    model = backend.Backend.load(model_dir, SETTINGS)
    expected = unit_mean("[CLS]", "alpha", "[SEP]")
    vectors = model.embed(given(model.tokenizer, "alpha"))
    np.testing.assert_allclose(vectors, [expected], atol=1e-6)


def test_an_input_that_nobody_knows_is_refused(backend: ModuleType, tmp_path: Path) -> None:
    model_dir = write_model(tmp_path, inputs=("input_ids", "position_ids"))
    with pytest.raises(ModelError, match=r"model\.onnx asks for position_ids"):
        backend.Backend.load(model_dir, SETTINGS)


def test_a_graph_without_hidden_states_is_refused(backend: ModuleType, tmp_path: Path) -> None:
    model_dir = write_model(tmp_path, output="sentence_embedding")
    with pytest.raises(ModelError, match="no output last_hidden_state, only sentence_embedding"):
        backend.Backend.load(model_dir, SETTINGS)


def test_another_format_is_refused(backend: ModuleType, tmp_path: Path) -> None:
    model_dir = write_model(tmp_path, format="gguf")
    with pytest.raises(ModelError, match="takes models in the format onnx, not gguf"):
        backend.Backend.load(model_dir, SETTINGS)


def test_dense_layers_that_it_has_not_are_refused(backend: ModuleType, tmp_path: Path) -> None:
    model_dir = write_model(tmp_path, dense_layers=True)
    with pytest.raises(ModelError, match="no dense layers to put after it"):
        backend.Backend.load(model_dir, SETTINGS)


def test_a_model_without_a_tokenizer_is_refused(backend: ModuleType, tmp_path: Path) -> None:
    model_dir = write_model(tmp_path)
    (model_dir / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        backend.Backend.load(model_dir, SETTINGS)


def test_it_says_what_it_computes_with(backend: ModuleType, tmp_path: Path) -> None:
    model = backend.Backend.load(write_model(tmp_path), SETTINGS)
    assert model.runtime == {"execution_provider": "CPUExecutionProvider"}


PROBE = """
import json, sys
from pathlib import Path
from backend import Backend
from embedding_service.inputs import Text
from embedding_service.settings import Settings
imported = sorted({"onnxruntime", "tokenizers"} & set(sys.modules))
before = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").exists() else 0
model = Backend.load(Path(sys.argv[1]), Settings.from_environment({"EMBEDDING_THREADS": "1"}))
model.embed([Text(content="alpha", ids=model.tokenizer.encode("alpha").ids)] * 64)
threads = len(list(Path("/proc/self/task").iterdir())) - before if before else 0
print(json.dumps([imported, threads, model._session.get_providers()]))
"""


@pytest.mark.parametrize("home", ["home", "nowhere"])
def test_it_starts_quietly_on_the_cpu_and_reports_to_nobody(tmp_path: Path, home: str) -> None:
    (tmp_path / "home").mkdir()
    environ = environment(write_model(tmp_path / "model"), HOME=str(tmp_path / home))
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path / "model")],
        env={name: value for name, value in environ.items() if not name.startswith("ORT_")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert probe.returncode == 0, probe.stderr
    assert probe.stderr == ""
    imported, threads, providers = json.loads(probe.stdout)
    assert imported == []  # with the module: the contract has them imported by load
    assert threads == 0  # neither telemetry's, nor the tokenizer's, nor waiting ones
    assert providers == ["CPUExecutionProvider"]
    assert not list((tmp_path / "home").iterdir())


IMPORTED = """
import json, sys
from pathlib import Path
import embedding_service.server, embedding_service.vectors, embedding_service.client
from backend import Backend
from embedding_service.inputs import Text
from embedding_service.settings import Settings
model = Backend.load(Path(sys.argv[1]), Settings.from_environment({}))
model.embed([Text(content="alpha", ids=model.tokenizer.encode("alpha").ids)])
files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
maps = Path("/proc/self/maps")
if maps.exists():
    files |= {line.split()[-1] for line in maps.read_text().splitlines()}
print(json.dumps(sorted(file for file in files if file)))
"""


def test_nothing_that_the_image_leaves_out_is_used(tmp_path: Path) -> None:
    lines = (ONNXRUNTIME / "prune.txt").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    probe = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(write_model(tmp_path / "model"))],
        env=environment(tmp_path / "model"),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    used = {file.partition("/site-packages/")[2] for file in json.loads(probe.stdout)}
    assert {"numpy/__init__.py", "fastapi/__init__.py", "tokenizers/__init__.py"} <= used
    assert any(fnmatchcase(file, "onnxruntime/capi/onnxruntime_pybind11_state*") for file in used)
    assert [
        file for file in sorted(used) if any(fnmatchcase(file, pattern) for pattern in patterns)
    ] == []
