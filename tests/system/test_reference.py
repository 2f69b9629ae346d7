"""`nox -s reference`: vectors that one host makes, held against another's."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import host
from builders.paths import ROOT
from builders.store import cache_directory
from tests.system import another_host
from tests.system.another_host import BACKEND, CELL, MODEL, PLATFORM, PROCESSOR, SELECTED


def session(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builders", "reference", *map(str, words), *SELECTED],
        cwd=ROOT,
        env={**os.environ, "EQUIVEC_CACHE": str(cache_directory()), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the document that this host exports."""
    path = tmp_path_factory.mktemp("here") / "here.json"
    completed = session("--export", path)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def test_a_host_writes_what_decides_its_vectors(exported: Mapping[str, Any]) -> None:
    (reference,) = exported["references"]
    here = host.current()
    assert reference["cell"] == f"{BACKEND}-{MODEL}-{here.replace('/', '-')}"
    assert (reference["platform"], reference["processor"]) == (here, host.processor())
    digests = ("corpus", "model", "wheels", "backend", "service")
    assert all(reference["made_from"][name].startswith("sha256:") for name in digests)
    vectors = reference["vectors"]
    assert (vectors["model"], vectors["backend"]) == (MODEL, BACKEND)
    assert vectors["vector_space"].startswith("sha256:")
    assert set(vectors["libraries"]) == {"numpy", "onnxruntime", "tokenizers"}
    assert len(vectors["vectors"]) > 100


@pytest.fixture
def from_a_mac(exported: Mapping[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """Return what writes this host's vectors as if a Mac had made them, changed in some way."""

    def write(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
        document = another_host.brought(exported)
        change(document["references"][0])
        path = tmp_path / "mac.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def test_equal_vectors_fill_the_row(from_a_mac: Callable[..., Path]) -> None:
    completed = session("--reference", from_a_mac())
    assert completed.returncode == 0, completed.stdout + completed.stderr
    (row,) = (line for line in completed.stdout.splitlines() if line.endswith("passed"))
    assert CELL in row
    assert "0 / " in row
    assert f"{PROCESSOR}, held against" in completed.stdout


def moved(reference: dict[str, Any]) -> None:
    name, text = next(iter(reference["vectors"]["vectors"].items()))
    vector = np.frombuffer(base64.b64decode(text), dtype="<f4").copy()
    vector[0] += 1e-3
    reference["vectors"]["vectors"][name] = base64.b64encode(vector.tobytes()).decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (moved, "parity:max-abs-difference, parity:distance failed"),
        (
            lambda reference: reference["vectors"]["libraries"].update(onnxruntime="1.0"),
            "on the host, 1.0 on darwin/arm64",
        ),
        (
            lambda reference: reference["made_from"].update(corpus="sha256:0"),
            "made from another corpus than this checkout has",
        ),
        (
            lambda reference: reference["made_from"].update(wheels="sha256:0", backend="sha256:0"),
            "made from another wheels, backend than this checkout has",
        ),
        (lambda reference: reference["vectors"]["vectors"].popitem(), "it lacks"),
        (
            lambda reference: reference["vectors"].update(vector_space="sha256:" + "0" * 64),
            "vectors of different spaces cannot be compared",
        ),
    ],
)
def test_other_vectors_fail_the_row(
    from_a_mac: Callable[..., Path], change: Callable[[dict[str, Any]], object], said: str
) -> None:
    completed = session("--reference", from_a_mac(change))
    assert completed.returncode == 3, completed.stdout + completed.stderr
    assert said in completed.stdout
    assert "1 failed" in completed.stdout
    assert "passed" not in completed.stdout


def test_this_hosts_own_vectors_leave_the_row_absent(
    exported: Mapping[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "here.json"
    path.write_text(json.dumps(exported), encoding="utf-8")
    completed = session("--reference", path)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "1 passed, 1 absent" in completed.stdout
    assert f"a {PLATFORM} host is needed; this is {host.current()}" in completed.stdout
