"""The llama.cpp backend with its real library, each time in a process of its own: it may crash.

The library's three traps are shown to be there, in the same process that is then seen to avoid
them: a text longer than a batch ends the process, a context shared by threads crashes it or mixes
their vectors up, and a long text is cut in silence.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from builders import fixture, list_file
from tests.system import on_host
from tests.unit.service.tiny_model import write_recipe

IMAGES = Path(__file__).parents[2] / "images"
BACKEND = IMAGES / "llama-cpp"
LIMIT = 512
SECONDS = 180

PREFACE = """
import json, sys, threading
from pathlib import Path
import numpy as np
import backend
from embedding_service import contract, recipe
from embedding_service.errors import ModelError, TooLongError
from embedding_service.settings import Settings
directory = Path(sys.argv[1])
def load(threads="1"):
    return backend.Backend.load(
        directory, Settings.from_environment({"EMBEDDING_THREADS": threads})
    )
def embed(model, *texts):
    return contract.embed(model, recipe.read(directory), texts)
def text(words):
    return " ".join(["the"] * words)
"""

Probe = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def python() -> Path:
    return on_host.interpreter("llama-cpp")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("llama-cpp") / "model"
    fixture.write("fixture-bert-384", "gguf", directory, "float32")
    write_recipe(directory, format="gguf", dimension=384, max_tokens=LIMIT, pooling="cls")
    return directory


@pytest.fixture
def probe(python: Path, model: Path, tmp_path: Path) -> Probe:
    """Run statements after the preface, and say how that ended."""
    home = tmp_path / "home"
    home.mkdir()

    def run(statements: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [str(python), "-c", PREFACE + statements, str(model), *map(str, arguments)],
            env={
                "HOME": str(home),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{IMAGES / 'service'}{os.pathsep}{BACKEND}",
                "PYTHONDONTWRITEBYTECODE": "1",
                # An abort would start a debugger, where there is one, to print where it was.
                "GGML_NO_BACKTRACE": "1",
            },
            cwd=home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert not list(home.iterdir())
        return ended

    return run


def answer(ended: subprocess.CompletedProcess[str]) -> Any:
    """What a probe that is to end well has printed: one JSON document, and nothing else."""
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def test_vectors_are_float32_of_length_1_and_do_not_depend_on_batch_or_threads(
    probe: Probe,
) -> None:
    probed = probe("""
texts = ["the ferry", "", "a " * 100, "the ferry"]
model = load()
vectors = embed(model, *texts)
alone = np.concatenate([embed(model, text) for text in texts])
two = embed(load("2"), *texts)
lengths = np.linalg.norm(vectors.astype(float), axis=1)
model.close()
print(json.dumps({
    "kind": [str(vectors.dtype), *vectors.shape],
    "length": bool(abs(lengths - 1).max() < 1e-6),
    "alone": bool((alone == vectors).all()),
    "threads": bool((two == vectors).all()),
    "different": bool((vectors[0] != vectors[1]).any()),
}))
""")
    assert answer(probed) == {
        "kind": ["float32", 4, 384],
        "length": True,
        "alone": True,
        "threads": True,
        "different": True,
    }


def test_a_text_of_the_limit_is_embedded_whole_and_a_longer_one_refused(probe: Probe) -> None:
    probed = probe("""
model = load()
full = embed(model, text(510))
refusals = []
for words in (511, 5000):
    try:
        embed(model, "the", text(words))
    except TooLongError as error:
        refusals.append([error.index, error.tokens, error.limit])
print(json.dumps({
    "refusals": refusals,
    "prefix": bool((full == embed(model, text(509))).all()),
    "last word": bool((full == embed(model, text(509) + " a")).all()),
    "after": bool((full == embed(model, text(510))).all()),
}))
""")
    assert answer(probed) == {
        "refusals": [[1, LIMIT + 1, LIMIT], [1, 5002, LIMIT]],
        # Nothing is cut: each word, the last one too, moves the vector.
        "prefix": False,
        "last word": False,
        "after": True,
    }


def test_a_tokenizer_that_cut_would_show_above(probe: Probe) -> None:
    probed = probe("""
model = load()
model.tokenizer.enable_truncation(64)
print(json.dumps(bool((embed(model, text(510)) == embed(model, text(509) + " a")).all())))
""")
    assert answer(probed) is True


def test_a_text_longer_than_the_batch_would_end_the_process(probe: Probe) -> None:
    """What the limit keeps away: without it, this is what the first long text does."""
    probed = probe("""
model = backend._Model(directory / "model.gguf", limit=64, threads=1)
model.embed([[5] * 64])
print("64 tokens are embedded", flush=True)
model.embed([[5] * 65])
print("65 too")
""")
    assert probed.stdout == "64 tokens are embedded\n"
    assert probed.returncode == -signal.SIGABRT
    assert "n_ubatch" in probed.stderr


THREADS = """
model = load()
inner = model._model
if sys.argv[2] == "shared":
    class Shared(list):
        def pop(self):
            return self[0]
        def append(self, context):
            pass
    inner._idle = Shared(inner._idle)
texts = ["the", "a ferry", "the a " * 20, "ferry " * 40]
expected = {text: embed(model, text)[0] for text in texts}
wrong = []
def work(number):
    for turn in range(40):
        text = texts[(number + turn) % len(texts)]
        if (embed(model, text)[0] != expected[text]).any():
            wrong.append(text)
workers = [threading.Thread(target=work, args=[number]) for number in range(8)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
contexts = len(inner._idle)
inner._idle = inner._idle[:]  # a plain list again: what crashes below is not the end
model.close()
print(json.dumps({"wrong": len(wrong), "contexts": contexts}))
"""


def test_many_threads_may_embed_at_once(probe: Probe) -> None:
    ended = answer(probe(THREADS, "own"))
    assert ended["wrong"] == 0
    assert 1 < ended["contexts"] <= 8  # they did run at once


def test_threads_that_shared_a_context_would_crash_or_mix_vectors_up(probe: Probe) -> None:
    probed = probe(THREADS, "shared")
    assert probed.returncode < 0 or json.loads(probed.stdout)["wrong"] > 0


def test_one_variant_is_loaded_and_named(probe: Probe, python: Path) -> None:
    probed = probe("""
model = load()
maps = Path("/proc/self/maps")
lines = maps.read_text().splitlines() if maps.exists() else []
mapped = sorted({line.split()[-1] for line in lines if "/libggml-cpu" in line})
print(json.dumps([dict(model.runtime), mapped]))
""")
    runtime, mapped = answer(probed)
    assert set(runtime) == {"cpu_variant", "cpu_features"}
    assert runtime["cpu_features"]
    shipped = sorted(
        python.parents[1].glob("lib/python3.11/site-packages/llama_cpp/lib/*-cpu-*.so")
    )
    if not shipped:  # built for this machine alone, as on macOS
        assert runtime["cpu_variant"] == "native"
        return
    assert [Path(path).name for path in mapped] == [f"libggml-cpu-{runtime['cpu_variant']}.so"]


@pytest.mark.parametrize("precision", ["float16", "q8_0"])
def test_the_variant_computes_each_precision(probe: Probe, tmp_path: Path, precision: str) -> None:
    """A compiler's mistake in one kernel shows only with the weights that need it."""
    directory = tmp_path / precision
    fixture.write("fixture-768", "gguf", directory, precision)
    write_recipe(directory, format="gguf", dimension=768, max_tokens=2048, precision=precision)
    probed = probe(
        """
directory = Path(sys.argv[2])
print(json.dumps(embed(load(), text(40)).shape))
""",
        directory,
    )
    assert answer(probed) == [1, 768]


def test_where_no_variant_runs_the_service_says_so(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "libggml-cpu-future.so").write_text("not for this processor", encoding="utf-8")
    probed = probe(
        """
import llama_cpp._ggml
llama_cpp._ggml.libggml_base_path = Path(sys.argv[2])
try:
    load()
except ModelError as error:
    print(json.dumps(str(error)))
""",
        tmp_path,
    )
    assert answer(probed) == "this processor can run none of llama.cpp's variants: future"


def test_a_spoilt_file_is_refused_with_the_librarys_own_reason(probe: Probe) -> None:
    probed = probe(
        """
import logging
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
backend.library()
spoilt = Path(sys.argv[1]).parent / "spoilt.gguf"
spoilt.write_bytes((directory / "model.gguf").read_bytes()[:200_000])
try:
    backend._Model(spoilt, limit=64, threads=1)
except ModelError as error:
    print(json.dumps(str(error)))
"""
    )
    assert probed.returncode == 0, probed.stderr
    assert "llama.cpp cannot load" in json.loads(probed.stdout)
    assert "llama.cpp ERROR " in probed.stderr
    assert " DEBUG " not in probed.stderr


def test_nothing_that_the_image_leaves_out_is_used(probe: Probe) -> None:
    probed = probe("""
import embedding_service.server, embedding_service.vectors, embedding_service.client
embed(load(), "the")
files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
maps = Path("/proc/self/maps")
if maps.exists():
    files |= {line.split()[-1] for line in maps.read_text().splitlines()}
print(json.dumps(sorted(file for file in files if file)))
""")
    used = {file.partition("/site-packages/")[2] for file in answer(probed)}
    assert {"numpy/__init__.py", "llama_cpp/llama_cpp.py", "tokenizers/__init__.py"} <= used
    patterns = list_file.read(BACKEND / "prune.txt")
    assert [
        file for file in sorted(used) if any(fnmatchcase(file, pattern) for pattern in patterns)
    ] == []
