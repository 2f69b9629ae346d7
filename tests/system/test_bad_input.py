"""Bad input to the real program: what fails is named, what does not goes on and is published."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import publication, verdict
from builders.engine import Engine, remains
from builders.engine.configuration import DAEMONS
from builders.errors import CellsFailedError, LockError, MatrixError, SelectionError, StoreError
from builders.lock import debian, wheels
from builders.verdict import Verdict
from tests.system import checkouts
from tests.system.checkouts import AMD64, Checkout
from tests.system.conftest import Own

pytestmark = pytest.mark.engine

GOOD = "onnxruntime"
RIGHT = "return normalised(vectors) if self._recipe.normalize else vectors"
WRONG = {
    "narrow": "return normalised(vectors)[:, :-1]",
    "nan": "return normalised(vectors) * np.float32('nan')",
    "long": "return vectors",
    # Only in the image, as where a processor computes otherwise: the host's vectors are right.
    "drift": "return drifted(normalised(vectors))",
}
DRIFTED = """

def drifted(vectors: Vectors) -> Vectors:
    moved = vectors.copy()
    if Path(__file__).is_relative_to("/opt/equivec"):
        moved[:, 0] += np.float32(1e-4)
    return normalised(moved)
"""
ENTRY = """
  {name}:
    title: {name}
    licence: MIT
    formats: [onnx]
    platforms: [linux/amd64]
    budget_mb: 80
"""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A finished run with one good backend and one of each wrong kind."""

    checkout: Checkout
    output: str

    def failure(self, backend: str) -> str:
        """What was printed when a backend's cell failed: that line, and those that belong to it."""
        found = re.search(rf"{cell(backend)} +FAILED.*(\n +\|.*)*", self.output)
        assert found, self.output
        return found[0]

    def verdict(self, backend: str) -> Verdict:
        return verdict.read(self.checkout.root / "dist" / "verdicts" / f"{cell(backend)}.json")


def cell(backend: str) -> str:
    return f"{backend}-fixture-768-linux-amd64"


@pytest.fixture(scope="module")
def checkout(store: Path, private: Engine, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    scratch = tmp_path_factory.mktemp("bad")
    checkouts.links(store, scratch / "cache" / "store")
    return checkouts.copy(
        scratch / "checkout", scratch / "cache", checkouts.environment_of(private)
    )


@pytest.fixture(scope="module")
def judged(checkout: Checkout) -> Judged:
    for name, wrong in WRONG.items():
        add_backend(checkout, name)
        file = checkout.root / "images" / name / "backend.py"
        text = file.read_text("utf-8")
        assert RIGHT in text
        file.write_text(text.replace(RIGHT, wrong) + DRIFTED)
    add_backend(checkout, "misfit")
    locks = checkout.root / "images" / "misfit" / "locks"
    shutil.copy(locks / "linux-arm64.txt", locks / "linux-amd64.txt")
    return Judged(
        checkout=checkout,
        output=checkout.build(
            *AMD64,
            *(word for name in (*WRONG, "misfit") for word in ("--backend", name)),
            status=CellsFailedError.exit_code,
        ),
    )


def add_backend(checkout: Checkout, name: str) -> None:
    """Add a copy of the good backend under another name."""
    images = checkout.root / "images"
    shutil.copytree(images / GOOD, images / name)
    file = images / name / "backend.py"
    said = f'name: ClassVar[str] = "{GOOD}"'
    text = file.read_text("utf-8")
    assert said in text
    file.write_text(text.replace(said, said.replace(GOOD, name)))
    matrix = checkout.root / "matrix.yaml"
    backends, models, rest = matrix.read_text("utf-8").partition("\nmodels:\n")
    matrix.write_text(backends + ENTRY.format(name=name) + models + rest)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("narrow", ["did not become ready", "failed its self-check", "767", "768"]),
        ("nan", ["did not become ready", "failed its self-check", "NaN"]),
        ("long", ["did not become ready", "failed its self-check", "vector of length"]),
        ("misfit", ["aarch64.whl holds elf arm64, not elf amd64"]),
        ("drift", ["parity:max-abs-difference", "1e-05"]),
    ],
)
def test_what_is_wrong_is_named(judged: Judged, backend: str, words: list[str]) -> None:
    failure = judged.failure(backend)
    for word in words:
        assert word in failure


def test_drift_fails_by_its_figure(judged: Judged) -> None:
    found = judged.verdict("drift")
    assert not found.passed
    (check,) = [check for check in found.failures if check.name == "parity:max-abs-difference"]
    assert check.limit == 1e-5
    assert check.figure == pytest.approx(1e-4, rel=0.05)
    # It is as far from the right backend's vectors, which are the anchor's, from those of the
    # definition, and from what was published.
    failed = {check.name.partition(":")[0] for check in found.failures}
    assert failed == {"parity", "cross-backend", "exact", "known-answer"}
    for name in ("exact:max-abs-difference", "known-answer:definition"):
        (check,) = [check for check in found.failures if check.name == name]
        assert check.figure == pytest.approx(1e-4, rel=0.05)


def test_only_what_is_right_is_published(judged: Judged) -> None:
    directory = judged.checkout.root / "dist" / "images"
    assert judged.verdict(GOOD).passed
    assert published(directory, GOOD) == judged.verdict(GOOD).subject.digest
    for backend in (*WRONG, "misfit"):
        assert published(directory, backend) is None
    listed = json.loads((directory / "index.json").read_bytes())["manifests"]
    assert len(listed) == 1


def test_nothing_is_left_of_what_failed(judged: Judged, private: Engine) -> None:
    judged.checkout.processes_end()
    assert judged.checkout.halves() == []
    assert checkouts.containers(private.environment) == []


def published(directory: Path, backend: str) -> str | None:
    return publication.published_digest(directory, f"equivec/{backend}-fixture-768", "linux/amd64")


def test_a_truncated_wheel_and_package_are_repaired(judged: Judged) -> None:
    """From files that pip's settings and the mirror name: nothing of this leaves the machine."""
    checkout = judged.checkout
    lock = wheels.read(checkout.root / "images" / GOOD, "linux/amd64")
    kept = checkout.root.parent / "wheels"
    kept.mkdir()
    for name, sha256 in lock.files.items():
        shutil.copy(stored(checkout, sha256), kept / name)
    package = debian.read(checkout.root / "images" / "base", "linux/amd64").root[0]
    pool = checkout.root.parent / "mirror" / package.path
    pool.parent.mkdir(parents=True)
    shutil.copy(stored(checkout, package.sha256), pool)
    wheel = stored(checkout, max(lock.files.values(), key=lambda sha: size(checkout, sha)))
    damaged = {path: path.read_bytes() for path in (wheel, stored(checkout, package.sha256))}
    for path, content in damaged.items():
        path.unlink()  # Other caches may share the file.
        path.write_bytes(content[: len(content) // 2])

    mirror = f"file://{checkout.root.parent}/mirror"
    variables = {"PIP_FIND_LINKS": str(kept), "EQUIVEC_DEBIAN_MIRROR": f"{mirror} {mirror}"}
    said = checkout.build(*AMD64, "--backend", GOOD, variables=variables)

    assert "1 unchanged" in said
    assert {path: path.read_bytes() for path in damaged} == damaged


def stored(checkout: Checkout, sha256: str) -> Path:
    return checkout.cache / "store" / sha256[:2] / sha256


def size(checkout: Checkout, sha256: str) -> int:
    return stored(checkout, sha256).stat().st_size


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--backend", "onnxruntim"], SelectionError, "did you mean 'onnxruntime'?"),
        (["--platform", "linux/arm"], SelectionError, "did you mean 'linux/arm64'?"),
        (["--model", "fixture-786"], SelectionError, "did you mean 'fixture-768'?"),
        (["--only", "nothing-*"], SelectionError, "no cell's id matches 'nothing-*'"),
    ],
)
def test_a_wrong_selection(
    checkout: Checkout, words: list[str], status: type[SelectionError], said: str
) -> None:
    assert said in explained(checkout, *words, status=status.exit_code)


def test_a_wrong_matrix(checkout: Checkout) -> None:
    matrix = checkout.root / "matrix.yaml"
    right = matrix.read_text("utf-8")
    try:
        matrix.write_text(right.replace("epoch:", "epok:") + "\nprefix: twice\n")
        said = explained(checkout, status=MatrixError.exit_code)
    finally:
        matrix.write_text(right)
    assert "matrix.yaml:" in said
    assert "prefix" in said


@pytest.mark.parametrize("kind", ["wheels", "packages"])
def test_a_platform_without_lock(checkout: Checkout, kind: str) -> None:
    lock = {
        "wheels": checkout.root / "images" / GOOD / "locks" / "linux-amd64.txt",
        "packages": checkout.root / "images" / "base" / "locks" / "linux-amd64.json",
    }[kind]
    text = lock.read_bytes()
    lock.unlink()
    try:
        said = explained(checkout, *AMD64, status=LockError.exit_code)
    finally:
        lock.write_bytes(text)
    assert str(lock) in said
    assert "nox -s lock" in said


def test_a_file_that_is_locked_twice(checkout: Checkout) -> None:
    lock = checkout.root / "images" / GOOD / "locks" / "linux-amd64.txt"
    text = lock.read_text("utf-8")
    entry = text[text.index("anyio==") : text.index("click==")]
    lock.write_text(text + entry)
    try:
        said = explained(checkout, *AMD64, status=LockError.exit_code)
    finally:
        lock.write_text(text)
    assert "anyio" in said


def test_a_cache_that_cannot_be_written(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "cache", Path("/proc/equivec")):
        variables = {"EQUIVEC_CACHE": str(place)}
        said = explained(checkout, status=StoreError.exit_code, variables=variables)
        assert "name another place in EQUIVEC_CACHE" in said


def explained(
    checkout: Checkout,
    *words: str,
    status: int,
    variables: Mapping[str, str] = checkouts.NOTHING,
) -> str:
    """What the program says when it refuses: an error with a remedy, and no trace."""
    said = checkout.build(*words, status=status, variables=variables)
    assert "Traceback" not in said
    assert "error: " in said
    return said


def test_two_runs_at_once(store: Path, packages: Path, tmp_path: Path) -> None:
    """Both begin with nothing but inputs, and share one engine, store and checkout."""
    cache = tmp_path / "cache"
    checkouts.links(store, cache / "store")
    checkouts.links(packages, cache / "engine" / "packages")
    checkout = checkouts.copy(tmp_path / "checkout", cache, {"EQUIVEC_ENGINE": "private"})
    own = Own(cache, cache / "engine" / "packages")
    try:
        with checkout.running(*AMD64) as one, checkout.running(*AMD64) as other:
            assert (one.wait(), other.wait()) == (0, 0), f"{one.output}\n{other.output}"
        assert checkouts.containers(own.find().environment) == []
        assert daemons(own) == sorted(own.pids().values())
        assert checkout.halves() == []
        found = verdict.read(checkout.root / "dist" / "verdicts" / f"{cell(GOOD)}.json")
        assert published(checkout.root / "dist" / "images", GOOD) == found.subject.digest
    finally:
        own.stop()
    assert own.traces() == []


def daemons(own: Own) -> list[int]:
    """The processes of an engine whose containers are gone: shims end soon after these."""
    deadline = time.monotonic() + 10
    while len(found := remains.processes(own.places)) > len(DAEMONS):
        assert time.monotonic() < deadline, [
            Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in found
        ]
        time.sleep(0.1)
    return sorted(found)
