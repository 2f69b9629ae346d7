"""The gpt4all backend with its real library, each time in a process of its own.

The library's habits are shown to be there, beside what the backend does about them: a prefix that
nobody asked for, a text without tokens that has a vector all the same, long texts that are cut in
pieces, and models that it treats in its own way by their names.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from builders import fixture, host, list_file, project
from builders.preflight import judge
from tests.system import on_host
from tests.unit.service.tiny_model import write_recipe

IMAGES = Path(__file__).parents[2] / "images"
BACKEND = IMAGES / "gpt4all"
LIMIT = 2048
SECONDS = 180

PREFACE = """
import json, sys
from pathlib import Path
import numpy as np
import backend
from embedding_service import contract, recipe
from embedding_service.errors import InputError, ModelError, TooLongError
from embedding_service.settings import Settings
directory = Path(sys.argv[1])
def load(threads="1"):
    return backend.Backend.load(
        directory, Settings.from_environment({"EMBEDDING_THREADS": threads})
    )
def embed(model, *texts):
    return contract.embed(model, recipe.read(directory), texts)
def far(first, second):
    units = [np.asarray(v, dtype=float) / np.linalg.norm(v) for v in (first, second)]
    return float(np.linalg.norm(units[0] - units[1]))
"""

Probe = Callable[..., Any]


@pytest.fixture(scope="session")
def python() -> Path:
    checkout, here = project.load(), host.current()
    if not judge(checkout.images, "gpt4all", here).possible:
        pytest.skip(f"preflight refuses gpt4all on {here}")
    return on_host.interpreter("gpt4all")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gpt4all") / "model"
    fixture.write("fixture-768", "gguf", directory, "float32")
    write_recipe(directory, format="gguf", dimension=768, max_tokens=LIMIT, pooling="mean")
    return directory


@pytest.fixture
def probe(python: Path, model: Path, tmp_path: Path) -> Probe:
    """Run statements after the preface; return the JSON document that they print."""
    home = tmp_path / "home"
    home.mkdir()

    def run(statements: str, directory: Path = model) -> Any:
        ended = subprocess.run(
            [str(python), "-c", PREFACE + statements, str(directory)],
            env={
                "HOME": str(home),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{IMAGES / 'service'}{os.pathsep}{BACKEND}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert not list(home.iterdir())  # nothing was downloaded
        return json.loads(ended.stdout)

    return run


def renamed(model: Path, directory: Path, name: str) -> Path:
    """Copy a model whose file says that it is called otherwise; names are of one length."""
    directory.mkdir()
    content = (model / "model.gguf").read_bytes()
    assert len(name) == len("fixture-768")
    (directory / "model.gguf").write_bytes(content.replace(b"fixture-768", name.encode(), 1))
    (directory / "tokenizer.json").write_bytes((model / "tokenizer.json").read_bytes())
    write_recipe(directory, format="gguf", dimension=768, max_tokens=LIMIT, pooling="mean")
    return directory


def test_vectors_are_float32_of_length_1_and_do_not_depend_on_batch_or_threads(
    probe: Probe,
) -> None:
    assert probe("""
texts = ["the ferry", "Ça alors", "a " * 100, "the ferry"]
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
    "threads": bool(abs(two - vectors).max() < 1e-6),
    "different": bool((vectors[0] != vectors[1]).any()),
}))
""") == {
        "kind": ["float32", 4, 768],
        "length": True,
        "alone": True,
        "threads": True,
        "different": True,
    }


def test_a_text_of_the_limit_is_embedded_whole_and_a_longer_one_refused(probe: Probe) -> None:
    assert probe("""
model = load()
words = lambda count: " ".join(["the"] * count)
full = embed(model, words(2046))
refusals = []
for count in (2047, 5000):
    try:
        embed(model, "the", words(count))
    except TooLongError as error:
        refusals.append([error.index, error.tokens, error.limit])
cut = model._embedder.embed(words(5000), prefix="", return_dict=True)
print(json.dumps({
    "refusals": refusals,
    "last word": far(full[0], embed(model, words(2045) + " a")[0]) > 1e-4,
    "library": len(cut["embeddings"]),
}))
""") == {
        "refusals": [[1, LIMIT + 1, LIMIT], [1, 5002, LIMIT]],
        "last word": True,
        "library": 768,  # without the limit, a vector, of pieces
    }


def test_a_text_without_tokens_is_refused_and_the_library_would_embed_it(probe: Probe) -> None:
    assert probe("""
model = load()
refusals = []
for text in ("", " \\t\\n", "a [CLS] b"):
    try:
        embed(model, "the", text)
    except InputError as error:
        refusals.append(error.index)
found = model._embedder.embed(" ", prefix="", return_dict=True)
print(json.dumps([refusals, found["n_prompt_tokens"] > 0]))
""") == [[1, 1, 1], True]


def test_words_that_the_library_reads_otherwise_are_written_for_it(probe: Probe) -> None:
    """A word that is too long to be known, and vowel signs."""
    assert probe("""
model = load()
far_off = []
for text in ("gattacacatgcat" * 9, "नमस्ते दुनिया"):
    own = model._embedder.embed(text, prefix="")
    far_off.append(far(own, embed(model, text)[0]) > 0.1)
print(json.dumps(far_off))
""") == [True, True]


def test_a_model_that_the_library_knows_by_name_is_refused(
    probe: Probe, model: Path, tmp_path: Path
) -> None:
    said = probe(
        """
try:
    load()
except ModelError as error:
    print(json.dumps(str(error)))
""",
        renamed(model, tmp_path / "e5", "e5-small-v2"),
    )
    assert said.startswith(
        "gpt4all embeds e5-small-v2 only behind one of its own prefixes, whatever the recipe says: "
    )


def test_the_librarys_own_prefix_is_not_put_on(probe: Probe, model: Path, tmp_path: Path) -> None:
    """By default it demands one for a model that it does not know, and takes none for bge."""
    assert probe("""
try:
    load()._embedder.embed("the ferry")
except RuntimeError as error:
    print(json.dumps("specify a prefix" in str(error)))
""")
    assert probe(
        "print(json.dumps(embed(load(), 'the ferry').shape))",
        renamed(model, tmp_path / "bge", "bge-base-en"),
    ) == [1, 768]


def test_nothing_that_the_image_leaves_out_is_used(probe: Probe) -> None:
    found = probe("""
import embedding_service.server, embedding_service.vectors, embedding_service.client
embed(load(), "the")
files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
maps = Path("/proc/self/maps")
if maps.exists():
    files |= {line.split()[-1] for line in maps.read_text().splitlines()}
print(json.dumps(sorted(file for file in files if file)))
""")
    used = {file.partition("/site-packages/")[2] for file in found}
    assert {"numpy/__init__.py", "gpt4all/gpt4all.py", "tokenizers/__init__.py"} <= used
    patterns = list_file.read(BACKEND / "prune.txt")
    assert [
        file for file in sorted(used) if any(fnmatchcase(file, pattern) for pattern in patterns)
    ] == []


def test_on_arm64_there_is_nothing_to_install() -> None:
    answer = judge(IMAGES, "gpt4all", "linux/arm64")
    assert not answer.possible
    assert "gpt4all==2.8.2 has no wheels with a matching platform tag" in answer.reasons[0]
